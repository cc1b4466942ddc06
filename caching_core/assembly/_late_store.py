"""The disk tier of a process that started on a full disk, where others may share what was there before."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from caching_core.coherence import Stamps
from caching_core.errors import TierUnavailable
from caching_core.events import Event, StoreVoided, TierLost, TierOpened
from caching_core.runtime import Mutex, after_fork_in_child
from caching_core.tiers import (
    UNKNOWN,
    Changed,
    Delete,
    EntryChange,
    Expect,
    Lease,
    Ledger,
    LedgerChange,
    MarkStale,
    Peek,
    Store,
    StoreUsage,
)

_RETRY_SECONDS: Final = 1.0


class LateStore:
    """Away until the store behind it can be opened, which is tried again once a second by who calls; then that store.

    While it is away an invalidation voids what the host's processes share: they obey it, though this one cannot write.
    """

    __slots__ = ("__weakref__", "_error", "_is_closed", "_make", "_now", "_on_event", "_opening", "_retry_at", "_stamps", "_store")

    def __init__(
        self,
        make: Callable[[], Store],
        *,
        stamps: Stamps,
        on_event: Callable[[Event], None],
        error: TierUnavailable,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``make`` opens the store, or raises TierUnavailable as it did with ``error``."""
        self._make = make
        self._stamps = stamps
        self._on_event = on_event
        self._now = now
        self._store: Store | None = None
        self._error = error
        self._is_closed = False
        self._retry_at = now() + _RETRY_SECONDS
        self._renew()
        after_fork_in_child(self._renew)
        on_event(TierLost("disk", f"{error}; trying again"))

    def _renew(self) -> None:
        self._opening = Mutex()

    def _opened(self) -> Store:
        """Return the store, opened if it is time to try. Raises TierUnavailable."""
        if self._store is None and not self._is_closed and self._now() >= self._retry_at and self._opening.acquire(blocking=False):
            try:
                self._retry_at = self._now() + _RETRY_SECONDS
                self._try()
            finally:
                self._opening.release()
        store = self._store
        if store is None:
            raise TierUnavailable(str(self._error)) from self._error
        return store

    def _try(self) -> None:
        if self._store is None:
            try:
                self._store = self._make()
            except TierUnavailable as error:
                self._error = error
            else:
                self._on_event(TierOpened("disk"))

    def now_ms(self) -> int:
        """Return the store's clock, which is the host's."""
        return self._stamps.now_ms()

    @property
    def answers_at_once(self) -> bool:
        """Answer at once as soon as there is a store."""
        return True

    def peek(self, name: str) -> bytes | Peek | None:
        """Answer as the store does, else UNKNOWN."""
        store = self._store
        return UNKNOWN if store is None else store.peek(name)

    def put_now(self, name: str, frame: bytes, expires_ms: int | None, version_no: int) -> bool:
        """Do as the store does, else nothing."""
        store = self._store
        return False if store is None else store.put_now(name, frame, expires_ms, version_no)

    async def get(self, name: str) -> bytes | None:
        """Read."""
        return await self._opened().get(name)

    async def get_many(self, names: Sequence[str]) -> list[bytes | None]:
        """Read several."""
        return await self._opened().get_many(names)

    async def ledger(self, tenant: str, fields: Sequence[str]) -> Ledger:
        """Read the tenant's ledger."""
        return await self._opened().ledger(tenant, fields)

    async def lease(self, name: str, token: bytes, ttl_ms: int, *, tenant: str, bad: bytes | None, fields: Sequence[str] | None) -> Lease:
        """Take the right to load."""
        return await self._opened().lease(name, token, ttl_ms, tenant=tenant, bad=bad, fields=fields)

    async def release(self, name: str, token: bytes) -> None:
        """Give a lease back."""
        await self._opened().release(name, token)

    async def mutate(self, entries: Sequence[EntryChange], ledger: Sequence[LedgerChange] = ()) -> Changed:
        """Change; while the store is away, an invalidation is done by voiding and everything else raises."""
        seen = self._stamps.current()
        try:
            store = self._opened()
        except TierUnavailable as error:
            if self._is_closed or not (ledger or any(map(_invalidates, entries))):
                raise
            generation = self._stamps.void(seen, "full disk")
            self._on_event(StoreVoided(generation, f"an invalidation could not be written: {error}"))
            return Changed([_invalidates(entry) for entry in entries], self.now_ms())
        return await store.mutate(entries, ledger)

    async def names(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        """List names."""
        return await self._opened().names(prefix, after=after, limit=limit)

    async def usage(self) -> StoreUsage:
        """Return what the store holds."""
        return await self._opened().usage()

    async def maintain(self) -> None:
        """Open the store if it is time to; then its own upkeep."""
        try:
            store = self._opened()
        except TierUnavailable:
            return  # said when it was lost
        await store.maintain()

    def close(self) -> None:
        """Close the store, and open none any more."""
        self._is_closed = True
        if self._store is not None:
            self._store.close()


def store_that_is_away(reason: str, stamps: Stamps) -> Store:
    """Return a store that never opens, of a cache that could not be opened; it says nothing, for that has been said."""

    def refuse() -> Store:
        raise TierUnavailable(reason)

    return LateStore(refuse, stamps=stamps, on_event=lambda _event: None, error=TierUnavailable(reason))


def _invalidates(change: EntryChange) -> bool:
    return isinstance(change, MarkStale) or (isinstance(change, Delete) and change.expect is Expect.ANYTHING)
