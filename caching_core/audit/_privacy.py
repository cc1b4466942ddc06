"""What a record may show of people: keyed hashes in the open, clear text only sealed."""

import base64
import hashlib
import os
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from caching_core.crypto import Random, Xaes256Gcm, derive, open_with_nonce
from caching_core.errors import ConfigInvalid

_KEY_BYTES: Final = 32
_PREFIX_BYTES: Final = 12
_SEALS: Final = 2**20
_REMEMBERED: Final = 8192
_TENANTS: Final = 1024

AuditKey = bytes | Callable[[str], bytes]


class Privacy:
    """Hashes and seals with keys derived from the caller's: one pair a tenant, so that tenants cannot be correlated.

    ``key`` is 32 bytes, or gives 32 bytes for a tenant (whose destruction then makes its ``pii`` unreadable
    while every proof holds). Threads may race, harmlessly: every message has its own random nonce half.
    """

    __slots__ = ("_hashes", "_key", "_random", "_tenants")

    def __init__(self, key: AuditKey, *, random: Random = os.urandom) -> None:
        """Derive nothing yet."""
        if isinstance(key, bytes) and len(key) != _KEY_BYTES:
            raise ConfigInvalid(f"an audit key has {_KEY_BYTES} bytes, not {len(key)}")
        self._key = key
        self._random = random
        self._hashes: dict[tuple[str, str, str], str] = {}
        self._tenants: dict[str, _TenantSeal] = {}

    def hashed(self, tenant: str, kind: str, text: str) -> str:
        """Return the keyed hash of ``text``: the same for the same tenant and kind, meaningless without the key."""
        asked = (tenant, kind, text)
        known = self._hashes.get(asked)
        if known is None:
            key = self._of(tenant).hash_key
            known = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=key, digest_size=16, person=kind.encode()).hexdigest()
            if len(self._hashes) >= _REMEMBERED:
                self._hashes.clear()
            self._hashes[asked] = known
        return known

    def seal(self, tenant: str, clear: bytes) -> str:
        """Seal ``clear`` for the holder of the tenant's key, as base64."""
        return self._of(tenant).seal(clear, self._random)

    def forget(self) -> None:
        """Drop everything derived: after a fork no nonce prefix may be used on both sides."""
        self._hashes.clear()
        self._tenants.clear()

    def _of(self, tenant: str) -> "_TenantSeal":
        held = self._tenants.get(tenant)
        if held is None or held.left <= 0:
            if len(self._tenants) >= _TENANTS:
                self._tenants.clear()
            held = self._tenants[tenant] = _TenantSeal(root_for(self._key, tenant), tenant, self._random)
        return held


def root_for(key: AuditKey, tenant: str) -> bytes:
    """Return the tenant's audit root."""
    return key if isinstance(key, bytes) else key(tenant)


def spill_key(key: AuditKey) -> bytes:
    """Return the key that authenticates the spill file."""
    return derive(root_for(key, ""), "audit-spill", "")


def open_pii(pii: str, tenant: str, key: AuditKey) -> bytes | None:
    """Open a record's ``pii``; None where the key or the tenant is not that of the record."""
    try:
        sealed = base64.b64decode(pii, validate=True)
    except ValueError:
        return None
    return open_with_nonce(derive(root_for(key, tenant), "audit-pii", tenant), sealed, _aad(tenant))


class _TenantSeal:
    """One tenant's keys and a nonce prefix; a batch of messages shares the derived cipher, each has its own 12 bytes."""

    __slots__ = ("_aad", "_cipher", "_prefix", "hash_key", "left")

    def __init__(self, root: bytes, tenant: str, random: Random) -> None:
        self.hash_key = derive(root, "audit-hash", tenant)
        self.left = _SEALS
        self._prefix = random(_PREFIX_BYTES)
        self._cipher: AESGCM = Xaes256Gcm(derive(root, "audit-pii", tenant)).derive(self._prefix)
        self._aad = _aad(tenant)

    def seal(self, clear: bytes, random: Random) -> str:
        self.left -= 1
        nonce = random(_PREFIX_BYTES)
        return base64.b64encode(self._prefix + nonce + self._cipher.encrypt(nonce, clear, self._aad)).decode("ascii")


def _aad(tenant: str) -> bytes:
    return b"caching-core/audit/pii/v1|" + tenant.encode()
