"""Doctor's look at the host: clocks, and which primitives a FIPS host would not approve."""

import time
from collections.abc import Iterator
from pathlib import Path

from caching_core.cli._check import Check, finding, note, ok
from caching_core.config import CacheConfig

_FIPS = Path("/proc/sys/crypto/fips_enabled")
_COARSE_S = 0.02
# 1 January 2025: a host that believes in an earlier day has no clock.
_EARLIEST = 1_735_689_600


def check_host(config: CacheConfig) -> Iterator[Check]:
    """Yield the checks that need no cache."""
    yield _clock()
    yield _primitives(config)


def _clock() -> Check:
    resolution = time.get_clock_info("monotonic").resolution
    if resolution > _COARSE_S:
        return finding(
            "clock", f"the monotonic clock moves in steps of {resolution * 1000:.0f} ms", "lifetimes are off by as much; use another host"
        )
    if time.time() < _EARLIEST:
        return finding("clock", "the wall clock stands before 2025: audit records bear wrong times", "set the clock, start a time service")
    return ok("clock", f"monotonic, steps of {resolution * 1e9:.0f} ns; wall clock plausible")


def _primitives(config: CacheConfig) -> Check:
    if not config.crypto.enabled:
        return note("sealing", "security_enabled is false: values stand in clear on disk", "remove the setting where values are not public")
    used = "AES-256-GCM (as XAES-256-GCM), HKDF-SHA256"
    if not _is_fips_host():
        return ok("sealing", f"{used}; this host enforces no FIPS rules")
    doubtful = ["XAES-256-GCM as a mode (its parts, AES-GCM and a CMAC key derivation, are approved)"]
    if config.crypto.encryption_key:
        doubtful.append("scrypt, where encryption_key is a passphrase (32 bytes in base64 avoid it)")
    if config.crypto.key_privacy == "hashed":
        doubtful.append("BLAKE2b, for hashed names (key_privacy: clear avoids it, except for high entries)")
    else:
        doubtful.append("BLAKE2b, for the names of long keys and of high entries")
    return note("sealing", f"this host enforces FIPS rules; not on their list: {'; '.join(doubtful)}")


def _is_fips_host() -> bool:
    try:
        return _FIPS.read_text(encoding="ascii").strip() == "1"
    except OSError:
        return False
