"""Doctor's look at the server: whether it answers, how fast, which it is, and whether it keeps what must not be dropped."""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from caching_core.assembly import server_of
from caching_core.cli._check import Check, finding, note, ok
from caching_core.config import CacheConfig
from caching_core.errors import TierUnavailable
from caching_core.tiers.redis import checked, command

if TYPE_CHECKING:
    from caching_core.assembly._server import Server

_TRIPS: Final = 20
_OLDEST: Final = (6, 2)
_LOCAL: Final = ("localhost", "127.0.0.1", "::1", None)


def check_server(config: CacheConfig) -> Iterator[Check]:
    """Yield what the server of ``redis_url`` tells of itself."""
    server = server_of(config)
    try:
        server.start()
        info = _info(server)
        yield _version(server, info)
        yield _trips(server, config.l2.deadline)
        yield _eviction(info)
        yield _access(config)
    except TierUnavailable as error:
        yield finding("server", str(error), "start the server, or correct redis_url and the firewall; the cache goes on without it")
    finally:
        server.close()


def _info(server: "Server") -> Mapping[str, str]:
    text: bytes = checked(server.where, server.link.ask_now(command("INFO"))[0])
    pairs = (line.partition(":") for line in text.decode(errors="replace").splitlines())
    return {name: value for name, _, value in pairs if value}


def _version(server: "Server", info: Mapping[str, str]) -> Check:
    is_valkey = "valkey_version" in info
    version = info.get("valkey_version") or info.get("redis_version", "0")
    name = f"{'Valkey' if is_valkey else 'Redis'} {version} at {server.where}"
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if not is_valkey and parts < _OLDEST:
        return finding("server", name, "install Redis 6.2 or newer, or Valkey")
    if info.get("role") == "slave":
        return finding("server", f"{name} is a replica", "give the primary's address: a replica takes no writes, and reads late")
    return ok("server", name)


def _trips(server: "Server", deadline: float) -> Check:
    took: list[float] = []
    for _ in range(_TRIPS):
        began = time.perf_counter()
        server.link.ask_now(command("PING"))
        took.append(time.perf_counter() - began)
    took.sort()
    seen = f"{took[_TRIPS // 2] * 1000:.2f} ms in the middle, {took[-1] * 1000:.2f} ms at most, of {_TRIPS}"
    if took[_TRIPS // 2] > deadline / 4:
        return finding("round trip", seen, f"the deadline is {deadline * 1000:g} ms: raise l2.deadline, or bring the server nearer")
    return ok("round trip", seen)


def _eviction(info: Mapping[str, str]) -> Check:
    policy, bound = info.get("maxmemory_policy", "?"), info.get("maxmemory", "0")
    seen = f"maxmemory {int(bound) / 2**20:.0f} MiB, {policy}" if bound != "0" else f"no maxmemory, {policy}"
    if policy.startswith("allkeys"):
        fix = "CONFIG SET maxmemory-policy volatile-lru: tenants' keys and ledgers have no lifetime and must not be evicted"
        return finding("eviction", seen, fix)
    if bound == "0":
        return note("eviction", seen, "set maxmemory and maxmemory-policy volatile-lru, so that a full host does not end the server")
    if policy == "noeviction":
        return note("eviction", seen, "volatile-lru makes room by itself; with noeviction writes are skipped when it is full")
    return ok("eviction", seen)


def _access(config: CacheConfig) -> Check:
    assert config.l2.redis_url is not None  # noqa: S101 -- for the type checker: the caller asked
    parts = urlsplit(config.l2.redis_url.reveal())
    has_password = bool(parts.password or config.l2.redis_password)
    is_local = parts.scheme in {"unix", "redis+unix"} or parts.hostname in _LOCAL
    if not has_password and not is_local:
        return finding("access", "no password is given for a server on another host", "set a password there, and redis_password here")
    if not is_local and not (config.l2.redis_tls or parts.scheme in {"rediss", "valkeys"}):
        return note("access", "the connection is not encrypted; values are sealed, names and the password are not", "use rediss://")
    return ok("access", "with a password" if has_password else "on this host, without a password")
