"""The key hierarchy of this process: root keys unwrapped under a lease, and what is derived from them."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from caching_core.crypto._data_key import KEY_ID_SIZE, DataKey, DerivedCiphers, ForkGuard, key_id_of
from caching_core.crypto._key_store import KeyRow, KeyState, KeyStore
from caching_core.crypto._provider import KeyProvider
from caching_core.crypto._xaes import KEY_SIZE, Random
from caching_core.errors import CacheError, KeyUnavailable

FLEET: Final = "@fleet"
_PURPOSE: Final = "root"
_REFRESH_SECONDS: Final = 5.0
_OPENING: Final = frozenset({KeyState.STAGED, KeyState.PRIMARY, KeyState.ENABLED})


def _say_nothing(_name: str, _key_id: bytes) -> None:
    """Hear of no key."""


def derive(root: bytes, purpose: str, name: str) -> bytes:
    """Return 32 bytes of HKDF-SHA256 with info ``purpose|name``."""
    return HKDF(algorithm=SHA256(), length=KEY_SIZE, salt=None, info=f"{purpose}|{name}".encode()).derive(root)


class TenantKeys:
    """A tenant's keys as of one reading of the keystore. Immutable and thread-safe.

    ``primary`` seals, every key of ``by_id`` opens, ``name_key`` hashes names. The lease on them ends at
    ``expires_at`` of the ring's clock: ask the ring again then.
    """

    __slots__ = ("by_id", "dictionary_key", "expires_at", "loaded", "name_key", "opened", "primary", "tenant")

    def __init__(
        self,
        tenant: str,
        primary: DataKey,
        by_id: Mapping[bytes, DataKey],
        *,
        name_key: bytes,
        dictionary_key: bytes,
        loaded: float,
        expires_at: float,
        opened: DerivedCiphers | None = None,
    ) -> None:
        """Bind them; ``opened`` are the ciphers derived so far, when a reading found the same keys again."""
        self.tenant = tenant
        self.primary = primary
        self.by_id = by_id
        self.name_key = name_key
        self.dictionary_key = dictionary_key
        self.loaded = loaded
        self.expires_at = expires_at
        self.opened = DerivedCiphers() if opened is None else opened

    def cipher(self, names: bytes) -> AESGCM | None:
        """Return the cipher for ``frame[40:68]``, or None where the key id is not one of this tenant's."""
        key = self.by_id.get(names[:KEY_ID_SIZE])
        return None if key is None else self.opened.find(names, key)

    def __repr__(self) -> str:
        """Show ids, never keys."""
        return f"TenantKeys({self.tenant!r}, primary={self.primary.key_id.hex()}, {len(self.by_id)} keys)"

    def __reduce__(self) -> str:
        """Refuse to leave the process."""
        raise TypeError("a key does not leave its process")


class KeyRing:
    """Hands out tenants' keys, made on first use, held for at most ``lease_seconds``.

    Thread-safe without locks: two callers may load the same tenant at once, which is harmless because the
    keystore decides which root key stands. Every failure is KeyUnavailable; keys whose lease has run out
    are not used further when the keystore is away.
    """

    __slots__ = (
        "_drops", "_fleet", "_guard", "_keys", "_lease", "_now", "_on_made", "_provider", "_random", "_refreshed", "_store", "_wall",
    )  # fmt: skip

    def __init__(
        self,
        store: KeyStore,
        provider: KeyProvider,
        *,
        lease_seconds: float = 300.0,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        random: Random = os.urandom,
        on_made: Callable[[str, bytes], None] = _say_nothing,
    ) -> None:
        """``wall`` dates new rows; ``now`` measures leases; ``on_made`` hears name and id of each root key that this ring made."""
        self._store = store
        self._provider = provider
        self._lease = lease_seconds
        self._now = now
        self._wall = wall
        self._random = random
        self._on_made = on_made
        self._keys: dict[str, TenantKeys] = {}
        self._refreshed: dict[str, float] = {}
        self._drops = 0  # how often something was dropped: a load that began before must not bring it back
        self._fleet: tuple[bytes, float] | None = None
        self._guard = ForkGuard()

    async def tenant(self, tenant: str) -> TenantKeys:
        """Return the keys of ``tenant``, read again when their lease has run out."""
        keys = self._keys.get(tenant)
        if keys is not None and self._now() < keys.expires_at:
            return keys
        return await self._load(tenant)

    async def refresh(self, tenant: str, key_id: bytes) -> TenantKeys | None:
        """Look for a key id that the tenant's keys do not have; None where there is no such key.

        Reads the keystore at most once in five seconds for one tenant, however many frames ask.
        """
        keys = self._keys.get(tenant)
        now = self._now()
        if keys is not None and key_id in keys.by_id and now < keys.expires_at:
            return keys
        last = self._refreshed.get(tenant)
        if last is not None and now - last < _REFRESH_SECONDS:
            return None
        self._refreshed[tenant] = now
        keys = await self._load(tenant)
        return keys if key_id in keys.by_id else None

    async def fleet_key(self) -> bytes:
        """Return the fleet's log key: the same 32 bytes on every host that shares the keystore."""
        held = self._fleet
        if held is not None and self._now() < held[1]:
            return held[0]
        started = self._now()
        roots = await self._roots(FLEET)
        key = derive(_oldest(roots), "log", FLEET)
        self._fleet = (key, started + self._lease)
        return key

    def drop(self, tenant: str) -> None:
        """Forget the tenant's keys and every cipher that came of them."""
        self._drops += 1
        keys = self._keys.pop(tenant, None)
        self._refreshed.pop(tenant, None)
        if keys is not None:
            keys.opened.forget()

    async def _load(self, tenant: str) -> TenantKeys:
        started = self._now()  # before the reading: a lease is never longer than what it says
        drops = self._drops
        before = self._keys.get(tenant)
        roots = await self._roots(tenant)
        by_id: dict[bytes, DataKey] = {}
        for row, root in roots:
            by_id[row.key_id] = self._data_key(row.key_id, root, tenant, before)
        primary_row, primary_root = roots[0]
        keys = TenantKeys(
            tenant,
            by_id[primary_row.key_id],
            by_id,
            # Names must not change when a key is rotated, or every stored name would: the oldest root names.
            name_key=derive(_oldest(roots), "name", tenant),
            dictionary_key=derive(primary_root, "dictionary", tenant),
            loaded=started,
            expires_at=started + self._lease,
            opened=None if before is None or before.by_id.keys() - by_id.keys() else before.opened,
        )
        if drops == self._drops:
            self._keys[tenant] = keys
        return keys

    def _data_key(self, key_id: bytes, root: bytes, tenant: str, before: TenantKeys | None) -> DataKey:
        known = None if before is None else before.by_id.get(key_id)
        if known is not None:
            return known
        key = DataKey(derive(root, "data", tenant), random=self._random, now=self._now)
        self._guard.watch(key)
        return key

    async def _roots(self, name: str) -> list[tuple[KeyRow, bytes]]:
        """Return the usable rows with their root keys, the primary first; one is made where there is none."""
        try:
            rows = [row for row in await self._store.load(name) if row.state in _OPENING]
            if not any(row.state is KeyState.PRIMARY for row in rows):
                rows.append(await self._create(name))
            rows.sort(key=lambda row: (row.state is not KeyState.PRIMARY, -row.created_ms))
            return [(row, await self._unwrap(row, name)) for row in rows]
        except KeyUnavailable:
            raise
        except CacheError as error:
            raise KeyUnavailable(f"the keys of {name!r} cannot be had: {error}") from error

    async def _create(self, name: str) -> KeyRow:
        made = await self._provider.generate(name, purpose=_PURPOSE)
        row = KeyRow(
            key_id=key_id_of(derive(made.root, "data", name)),
            state=KeyState.PRIMARY,
            wrapped=made.wrapped,
            kek_id=made.kek_id,
            created_ms=int(self._wall() * 1000),
        )
        stands = await self._store.create(name, row)
        if stands.key_id == row.key_id:  # else another was first, and says so
            self._on_made(name, row.key_id)
        if stands.state not in _OPENING:
            raise KeyUnavailable(f"the key of {name!r} is {stands.state}; a new one must be made before anything can be sealed")
        return stands

    async def _unwrap(self, row: KeyRow, name: str) -> bytes:
        root = await self._provider.unwrap(row.wrapped, row.kek_id, name=name, purpose=_PURPOSE)
        if key_id_of(derive(root, "data", name)) != row.key_id:
            raise KeyUnavailable(f"a key of {name!r} does not give the id of its row: the keystore has been changed")
        return root

    def __repr__(self) -> str:
        """Show how many tenants' keys are held."""
        return f"KeyRing({len(self._keys)} tenants, lease {self._lease:g} s)"


def _oldest(roots: Sequence[tuple[KeyRow, bytes]]) -> bytes:
    return min(roots, key=lambda pair: (pair[0].created_ms, pair[0].key_id))[1]
