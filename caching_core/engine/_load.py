"""Load: get_or_set with one load per cold key, in the process by a flight, across the host by a lease."""

import os
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Final

from caching_core.codec import Channel, Packed, Refused, isolate
from caching_core.coherence import LedgerCopy, fields_of
from caching_core.engine._adaptive import adapted
from caching_core.engine._flight import Flight
from caching_core.engine._lifetime import Lifetime
from caching_core.engine._read import HIGH, Reader, Seen, Standing, ledger_tags
from caching_core.engine._scope import FOREVER, EngineState, Scope
from caching_core.errors import KeyUnavailable, TierUnavailable
from caching_core.runtime import Runtime
from caching_core.tenancy import check_key
from caching_core.tiers import Lease, Put, Store
from caching_core.tiers.memory import Entry
from caching_core.types import MISSING

# The loads that are under way above this call: a loader that asks for its own key must not wait for itself.
_leading: ContextVar[frozenset[tuple[str, str, str]]] = ContextVar("caching_core_leading", default=frozenset())

_FIRST_POLL: Final = 0.001
_LONGEST_POLL: Final = 0.025
_RELEASE_SECONDS: Final = 2.0
_FIRST_RELEASE_PAUSE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Loading:
    """How a value is loaded and kept."""

    loader: Callable[[], Any]
    life: Callable[[Any], Lifetime | None]  # of the loaded value; None: it is not to be cached
    tags: tuple[str, ...] = ()
    flags: int = 0
    serializer: str | None = None
    is_adaptive: bool = False  # nobody gave a lifetime: the model for lifetimes is told, and may say one
    data_type: str | None = None  # for that model


class Loader:
    """The loading verb."""

    __slots__ = ("_reader", "_runtime", "_state", "_store")

    def __init__(self, state: EngineState, store: Store | None, runtime: Runtime, reader: Reader) -> None:
        self._state = state
        self._store = store
        self._runtime = runtime
        self._reader = reader

    async def get_or_set(self, scope: Scope, key: str, loading: Loading, seen: Seen | None = None) -> Any:
        """Return the value under ``key``, loading it if nobody has it; concurrent callers share one load.

        ``seen`` is what a look at the store has brought, which a caller who leads the load need not ask for again.

        A loader's error goes to every caller that waited for it.
        """
        key = check_key(key)
        state = self._state
        name = (scope.tenant, scope.namespace, key)
        if state.options.disabled or name in _leading.get():
            return await self._apart(scope, loading)
        while True:
            flight, leads = state.flights.join(name, self._runtime.thread())
            if leads:
                return await self._as_leader(scope, name, loading, flight, seen)
            seen = None  # by the time that the flight has ended
            scope.counts.joined += 1
            if self._runtime.blocks and flight.thread == self._runtime.thread():
                return await self._apart(scope, loading)  # the leader is a task of this thread's loop: waiting would stop it
            in_time = await flight.wait(self._runtime, timeout=state.options.lease_seconds)
            if flight.error is not None:
                raise flight.error.with_traceback(None)
            entry = flight.entry
            if entry is not None and self._is_good(scope, key, entry):
                return entry.value if entry.thaw is None else entry.thaw(entry.value)
            if flight.is_private or not in_time:
                return await self._apart(scope, loading)
            # Cancelled, or loaded before an invalidation: what this caller may see, it has to fetch by itself.

    async def _as_leader(self, scope: Scope, name: tuple[str, str, str], loading: Loading, flight: Flight, seen: Seen | None) -> Any:
        ticket = _leading.set(_leading.get() | {name})
        try:
            return await self._lead(scope, name[2], loading, flight, seen)
        except Exception as error:
            flight.error = error
            raise
        finally:
            _leading.reset(ticket)
            self._state.flights.leave(name, flight)

    async def _apart(self, scope: Scope, loading: Loading) -> Any:
        """Load for this caller alone, and keep nothing."""
        scope.counts.misses += 1
        scope.counts.loads += 1
        return await _call(loading.loader)

    def _is_good(self, scope: Scope, key: str, entry: Entry) -> bool:
        standing = scope.entries.get(key)
        if standing is not None and standing.version > entry.version:
            return False
        return entry.until > self._state.now() and self._state.stamps.holds(scope.cells, key, entry)

    async def _lead(self, scope: Scope, key: str, loading: Loading, flight: Flight, seen: Seen | None) -> Any:
        standing = scope.entries.get(key)
        if standing is not None and self._state.recheck(scope, key, standing):
            flight.entry = standing  # another flight ended between the caller's miss and its lead
            standing.n += 1
            return standing.value if standing.thaw is None else standing.thaw(standing.value)
        entry = self._captured(scope, key, loading) if seen is None else seen.capture
        if self._state.options.read_only:
            value = await self._reader.get(scope, key, MISSING)
            if value is not MISSING:
                return value
            flight.is_private = True
            scope.counts.loads += 1
            return await _call(loading.loader)
        if self._store is not None:
            try:
                return await self._through_store(scope, key, entry, loading, flight, None if seen is None else seen.blob)
            except _StoreAway as away:
                scope.counts.unavailable += 1
                if self._state.options.strict:
                    raise away.error from None
                flight.is_private = True  # where L1 does not keep it either, those who wait load at once and not in a row
                entry = self._captured(scope, key, loading)
        scope.counts.misses += 1
        entry.version = self._state.version_no()
        began = self._state.now()
        value, life, packed = await self._load(scope, key, entry, loading)
        if life is None:
            flight.is_private = True
        else:
            self._keep(scope, key, entry, flight, value, packed, life, since=began, flags=loading.flags)
        return value

    async def _through_store(  # noqa: PLR0917 -- as of get_or_set
        self, scope: Scope, key: str, entry: Entry, loading: Loading, flight: Flight, blob: bytes | None
    ) -> Any:
        """Find the value in the store, or take the lease, load and fill. Raises _StoreAway before the load only.

        ``blob`` is what was found there after the capture ``entry``, if it was looked at.
        """
        store, state, poll = self._store, self._state, _FIRST_POLL
        assert store is not None  # noqa: S101 -- for the type checker: the caller asked
        token = os.urandom(16)
        try:
            if scope.keys_until <= state.now():
                await state.bind_keys(scope)
            name = scope.names.of(key)[0]  # type: ignore[union-attr]  # bound above
            while True:  # asking for the lease is asking for the value: what stands there comes back instead
                bad = None
                if blob is not None:
                    found, value = await self._found(scope, key, entry, blob, flight)
                    if found:
                        return value
                    bad = blob[57:81]
                    self._state.bind_tags(scope, entry, loading.tags)  # not those of the entry that was refused
                known = self._reader.known_ledger(scope, entry)
                tags = None if known is not None else ledger_tags(scope, loading.tags)
                lease = await self._lease(scope, name, token, bad, tags)
                ledger = self._reader.learn(scope, entry, lease.ledger) if lease.ledger is not None else known
                if lease.granted and ledger is not None:
                    entry.until = min(entry.until, ledger.until)
                    break
                blob = lease.frame
                if blob is None or blob[57:81] == bad:
                    await self._runtime.sleep(poll)
                    poll = min(poll * 1.5, _LONGEST_POLL)
                    # What stands now was read after a wait: so must its capture be after it.
                    entry = self._captured(scope, key, loading)
                    blob = await store.get(name)
        except (TierUnavailable, KeyUnavailable) as error:
            raise _StoreAway(error) from None
        scope.counts.misses += 1
        return await self._fill(scope, key, entry, loading, flight, token=token, ledger=ledger, now_ms=lease.now_ms)

    def _captured(self, scope: Scope, key: str, loading: Loading) -> Entry:
        entry = self._state.capture(scope, key)
        self._state.bind_tags(scope, entry, loading.tags)
        return entry

    async def _lease(self, scope: Scope, name: str, token: bytes, bad: bytes | None, tags: Sequence[str] | None) -> Lease:
        assert self._store is not None  # noqa: S101 -- for the type checker: the caller asked
        milliseconds = int(self._state.options.lease_seconds * 1000)
        fields = None if tags is None else fields_of(scope.namespace, tags)
        try:
            return await self._store.lease(name, token, milliseconds, tenant=scope.tenant, bad=bad, fields=fields)
        except BaseException:  # cancelled, or the answer was lost: it may have been granted
            self._state.leave_lease(name, token)
            raise

    async def _found(self, scope: Scope, key: str, entry: Entry, blob: bytes, flight: Flight) -> tuple[bool, Any]:
        standing, opened = await self._reader.weigh(scope, key, entry, blob)
        if standing is not Standing.VALID or opened is None:
            return False, None
        try:
            value = self._reader.keep(scope, key, entry, opened)
        except Refused as refused:
            self._reader.report(scope, key, refused)
            return False, None
        scope.counts.hits_l2 += 1
        if not opened.flags & HIGH and scope.partition is not None:
            flight.entry = entry
        return True, value

    async def _fill(
        self,
        scope: Scope,
        key: str,
        entry: Entry,
        loading: Loading,
        flight: Flight,
        *,
        token: bytes,
        ledger: LedgerCopy,
        now_ms: int,
    ) -> Any:
        state = self._state
        assert scope.names is not None  # noqa: S101 -- bound by the caller
        name, stored_key = scope.names.of(key)
        entry.version = state.version_no()
        began = state.now()
        filled = False
        try:
            value, life, packed = await self._load(scope, key, entry, loading)
            if life is None or life.is_over:
                flight.is_private = True
                return value
            channel = await self._sealing(scope)
            if channel is not None:
                frame = channel.seal(
                    key, packed, created_ms=now_ms, soft_ms=life.soft_ms, hard_ms=life.hard_ms,
                    version_no=entry.version, epoch=ledger.epoch, seq=ledger.seq, tags=loading.tags,
                    cost_ms=int((state.now() - began) * 1000), flags=loading.flags, stored_key=stored_key,
                )  # fmt: skip
                # Lifetimes count from the start of the load: what was read then is that old now.
                expires = None if life.hard_ms is None else now_ms + life.hard_ms
                filled = await self._put(scope, Put(name, frame, expires, token=token, version_no=entry.version))
                scope.counts.fills_refused += not filled
            self._keep(scope, key, entry, flight, value, packed, life, since=began, flags=loading.flags)
            return value
        finally:
            if not filled:
                await self._release(name, token)

    async def _sealing(self, scope: Scope) -> Channel | None:
        """Return the channel, under keys that are good now; None while they cannot be had."""
        if scope.keys_until > self._state.now() and scope.channel is not None:
            return scope.channel
        try:
            return await self._state.bind_keys(scope)
        except KeyUnavailable:
            scope.counts.unavailable += 1
            return None

    async def _put(self, scope: Scope, put: Put) -> bool:
        assert self._store is not None  # noqa: S101 -- for the type checker: the caller asked
        try:
            return (await self._store.mutate([put])).done[0]
        except TierUnavailable:
            scope.counts.unavailable += 1
            return False

    async def _release(self, name: str, token: bytes) -> None:
        assert self._store is not None  # noqa: S101 -- for the type checker: the caller asked
        try:
            await self._store.release(name, token)
        except TierUnavailable:
            # Other processes wait for this lease to end; its own time is much longer than most faults.
            self._runtime.spawn(lambda: self._release_late(name, token), name="give a lease back")

    async def _release_late(self, name: str, token: bytes) -> None:
        """Give a lease back as soon as the store takes it; after two seconds it is left to the upkeep."""
        assert self._store is not None  # noqa: S101 -- for the type checker: a lease came from it
        give_up, pause = self._state.now() + _RELEASE_SECONDS, _FIRST_RELEASE_PAUSE
        while self._state.now() < give_up:
            await self._runtime.sleep(pause)
            pause *= 2
            try:
                await self._store.release(name, token)
            except TierUnavailable:
                continue
            return
        self._state.leave_lease(name, token)

    async def give_back_leases(self) -> None:
        """Give back what cancelled calls, and those that had no answer, may have left; for the upkeep. Raises nothing."""
        if self._store is not None:
            await self._state.left_leases.give_back(self._store, self._state.now())

    async def _load(self, scope: Scope, key: str, entry: Entry, loading: Loading) -> tuple[Any, Lifetime | None, Packed]:
        scope.counts.loads += 1
        timing, began = self._state.timings.load, self._state.now()
        is_timed = timing.is_due()
        try:
            value = await _call(loading.loader)
        except BaseException:
            scope.counts.load_errors += 1
            raise
        finally:
            if is_timed:
                timing.took(self._state.now() - began)
        # Packed even where only L1 keeps it: a value that cannot be kept is refused everywhere alike.
        life, packed = loading.life(value), self._state.codec.pack(value, serializer=loading.serializer)
        if loading.is_adaptive and life is not None:
            life = adapted(self._state, scope, key, entry, life, packed=packed, data_type=loading.data_type, now=began)
        return value, life, packed

    def _keep(  # noqa: PLR0917 -- what was loaded, in the order in which it came about
        self, scope: Scope, key: str, entry: Entry, flight: Flight, value: Any, packed: Packed, life: Lifetime, *, since: float, flags: int
    ) -> None:
        if flags & HIGH or life.is_over or scope.partition is None:
            flight.is_private |= self._store is None or life.is_over
            return
        state = self._state
        entry.value, entry.thaw, entry.size = isolate(value, packed, state.codec)
        hard = FOREVER if life.hard_ms is None else since + life.hard_ms / 1000
        entry.until = min(entry.until, hard if life.soft_ms is None else since + life.soft_ms / 1000)
        if entry.extra is not None:
            entry.extra.hard = hard
        flight.entry = entry
        state.place(scope, key, entry)


class _StoreAway(Exception):
    """The store did not answer before the load began."""

    def __init__(self, error: TierUnavailable | KeyUnavailable) -> None:
        super().__init__(str(error))
        self.error = error


async def _call(loader: Callable[[], Any]) -> Any:
    value = loader()
    if isawaitable(value):
        value = await value
    return value
