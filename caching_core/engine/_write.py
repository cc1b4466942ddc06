"""Write: seal under the ledger, store, touch. A set is an invalidation: the touch comes whatever happens."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from caching_core.codec import NEVER, UNIT_MS, VERSION_BITS, Opened, Packed, isolate, units
from caching_core.coherence import LedgerCopy
from caching_core.engine._lifetime import Lifetime
from caching_core.engine._read import HIGH, Reader
from caching_core.engine._scope import FOREVER, EngineState, Scope
from caching_core.engine._timing import SAMPLING
from caching_core.errors import CacheError, KeyUnavailable, NotSupported, TierUnavailable, ValueNotKept
from caching_core.tenancy import check_key, is_plain_key
from caching_core.tiers import Delete, Expect, Put, Store
from caching_core.tiers.memory import Entry


@dataclass(frozen=True, slots=True)
class Writing:
    """How a value is kept."""

    life: Lifetime
    tags: tuple[str, ...] = ()
    flags: int = 0
    serializer: str | None = None
    units: tuple[int, int] | None = field(init=False, repr=False, compare=False, default=None)  # the lifetime as frames state it

    def __post_init__(self) -> None:
        """Work out ``units`` for a value that is kept without anything special."""
        if not (self.tags or self.flags or self.serializer or self.life.is_over):
            object.__setattr__(self, "units", (units(self.life.soft_ms), units(self.life.hard_ms)))


_MOST_OVERTAKEN: Final = 5

Ways = Callable[[str, Any], Writing]
Job = tuple[str, Any, Packed, Writing]


class Writer:
    """The writing verbs. The order is: store, then touch, then return."""

    __slots__ = ("_reader", "_state", "_store")

    def __init__(self, state: EngineState, store: Store | None, reader: Reader) -> None:
        self._state = state
        self._store = store
        self._reader = reader

    def set_at_once(self, scope: Scope, key: str, value: Any, writing: Writing) -> bool:
        """Store an untagged value where nothing has to be asked or waited for; False: ask ``set``.

        Saves the happy path of a local store the cost of its coroutines. Raises as ``set`` does.
        """
        state, store, plain, names = self._state, self._store, scope.plain, scope.names
        if store is None:
            return self._set_in_memory_at_once(scope, key, value, writing)
        if not store.answers_at_once:
            return False
        life = writing.units
        if plain is None or names is None or names.is_hashed or life is None or type(key) is not str or not is_plain_key(key):
            return False
        stamps, began = state.stamps, state.now()
        if scope.keys_until <= began or plain[3] <= began or state.blocks_writes or stamps.guard(scope.cells) != plain[0]:
            return False
        packed = state.codec.pack_at_once(value)
        if packed is None:
            return False
        channel, ledger, version_no = scope.channel, plain[2], state.version_no()
        meta = channel.meta_of(ledger.epoch, ledger.seq)  # type: ignore[union-attr]  # bound with the names
        frame = channel.seal_current(key.encode(), packed, life, version_no=version_no, meta=meta)  # type: ignore[union-attr]  # as above
        if frame is None:
            return False
        expires_ms = None if life[1] == NEVER else (version_no >> VERSION_BITS) + life[1] * UNIT_MS
        try:
            if not store.put_now(names.prefix + key, frame, expires_ms, version_no):
                return False
        finally:
            stamps.touch_key(*scope.cells.key(key))
        counts = scope.counts
        counts.sets += 1
        if counts.sets & SAMPLING == 1:
            state.timings.set.took(state.now() - began)
        return True

    def _set_in_memory_at_once(self, scope: Scope, key: str, value: Any, writing: Writing) -> bool:
        state = self._state
        if writing.tags or writing.life.is_over or state.blocks_writes:
            return False
        key, began = check_key(key), state.now()
        stored = self.set_in_memory(scope, key, value, state.codec.pack(value, serializer=writing.serializer), writing)
        counts = scope.counts
        counts.sets += stored
        if counts.sets & SAMPLING == 1:
            state.timings.set.took(state.now() - began)
        return stored

    async def set(self, scope: Scope, key: str, value: Any, writing: Writing) -> bool:
        """Store a value. False if it was skipped: the store is away or full (then the old value is gone as well)."""
        key = check_key(key)
        packed = self._state.codec.pack(value, serializer=writing.serializer)
        return not await self._write(scope, [(key, value, packed, writing)])

    async def set_many(self, scope: Scope, values: Mapping[str, Any], how: Ways) -> list[str]:
        """Store several values in one step; returns the keys that were skipped.

        Nothing is written if one of the values cannot be kept.
        """
        if not isinstance(values, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers need not be typed
            raise ValueNotKept(
                f"set_many takes a mapping from keys to values, got {type(values).__name__}; pass {{key: value}}, or dict(…)"
            )
        jobs: list[Job] = []
        for name, value in values.items():
            key = check_key(name)
            writing = how(key, value)
            jobs.append((key, value, self._state.codec.pack(value, serializer=writing.serializer), writing))
        return await self._write(scope, jobs)

    async def _write(self, scope: Scope, jobs: list[Job]) -> list[str]:
        state, store = self._state, self._store
        if not jobs:
            return []
        if state.options.disabled:
            keys = [job[0] for job in jobs]
            await self.skip(scope, keys)
            return keys
        self.refuse_if_read_only()
        scope.counts.sets += len(jobs)
        if store is None:
            skipped = [key for key, value, packed, writing in jobs if not self.set_in_memory(scope, key, value, packed, writing)]
            scope.counts.sets_skipped += len(skipped)
            return skipped
        places = [scope.cells.key(job[0]) for job in jobs]
        timing, began = state.timings.set, state.now()
        is_timed = timing.is_due()
        try:
            skipped = await self._settled(scope, jobs, store)
        except (TierUnavailable, KeyUnavailable):
            scope.counts.unavailable += 1
            scope.counts.sets_skipped += len(jobs)
            # The values are skipped, but what stood before them must not be read again.
            try:
                await self.remove(scope, [job[0] for job in jobs])
            except (TierUnavailable, KeyUnavailable):
                if not state.options.leaves_pending:
                    raise
            if state.options.strict:
                raise
            return [job[0] for job in jobs]
        finally:
            state.stamps.touch_keys(places)
            if is_timed:
                timing.took(state.now() - began)
        scope.counts.sets_skipped += len(skipped)
        return skipped

    async def _settled(self, scope: Scope, jobs: list[Job], store: Store) -> list[str]:
        """Put until nobody's newer value is in the way: a set is ordered by the store, not by when it was sealed.

        Returns the keys that the store does not take; what stood under them is gone.
        """
        for _ in range(_MOST_OVERTAKEN):
            puts = [await self.sealed(scope, key, packed, writing) for key, _, packed, writing in jobs]
            done = (await store.mutate(puts)).done
            jobs = [job for job, put, kept in zip(jobs, puts, done, strict=True) if not kept and isinstance(put, Put)]
            if not jobs:
                return []
        keys = [job[0] for job in jobs]
        await self.remove(scope, keys)
        return keys

    async def sealed(
        self, scope: Scope, key: str, packed: Packed, writing: Writing, *, expect: bytes | Expect = Expect.ANYTHING
    ) -> Put | Delete:
        """Seal a value under the tenant's ledger as it stands now; a value whose time is over is a delete."""
        state = self._state
        if scope.keys_until <= state.now():
            await state.bind_keys(scope)
        if writing.life.is_over:
            return Delete(scope.names.of(key)[0], expect)  # type: ignore[union-attr]  # bound above
        entry = state.capture(scope, key)
        state.bind_tags(scope, entry, writing.tags)
        ledger = await self._reader.ledger(scope, entry)
        return self._seal(scope, key, packed, writing, ledger=ledger, expect=expect)

    def _seal(self, scope: Scope, key: str, packed: Packed, writing: Writing, *, ledger: LedgerCopy, expect: bytes | Expect) -> Put:
        name, stored_key = scope.names.of(key)  # type: ignore[union-attr]  # the callers bound it
        now_ms = self._store.now_ms()  # type: ignore[union-attr]  # the callers have one
        hard_ms = writing.life.hard_ms
        version_no = self._state.version_no()
        frame = scope.channel.seal(  # type: ignore[union-attr]  # the callers bound it
            key, packed, created_ms=now_ms, soft_ms=writing.life.soft_ms, hard_ms=hard_ms, version_no=version_no,
            epoch=ledger.epoch, seq=ledger.seq, tags=writing.tags, flags=writing.flags, stored_key=stored_key,
        )  # fmt: skip
        return Put(name, frame, None if hard_ms is None else now_ms + hard_ms, expect=expect, version_no=version_no)

    async def skip(self, scope: Scope, keys: Sequence[str]) -> None:
        """Write nothing, because the cache is disabled; remove what stands there, as well as that can be done.

        The caller's values are newer than those: they must not be served by others, nor when the cache is enabled again.
        """
        scope.counts.sets_skipped += len(keys)
        if self._state.options.read_only:
            return
        try:
            if self._store is not None:
                await self.remove(scope, keys)
        except CacheError:
            scope.counts.unavailable += 1
        finally:
            self._state.stamps.touch_keys([scope.cells.key(key) for key in keys])

    async def remove(self, scope: Scope, keys: Sequence[str]) -> list[bool]:
        """Delete keys from the store; per key whether it was there. Raises TierUnavailable if it cannot be done at all."""
        store = self._store
        assert store is not None  # noqa: S101 -- for the type checker: the callers asked
        if scope.names is None:
            await self._state.bind_keys(scope)
        assert scope.names is not None  # noqa: S101 -- for the type checker: bound above
        names = scope.names
        return list((await store.mutate([Delete(names.of(key)[0]) for key in keys])).done)

    async def sealed_again(
        self, scope: Scope, key: str, packed: Packed, opened: Opened, *, life: Lifetime | None, expect: bytes | Expect
    ) -> Put:
        """Seal a changed value in place of the one it was made of: its epoch, seq, tags and flags, and its lifetime if ``life`` is None."""
        state, store = self._state, self._store
        assert store is not None  # noqa: S101 -- for the type checker: the callers asked
        channel = scope.channel if scope.keys_until > state.now() and scope.channel is not None else await state.bind_keys(scope)
        assert scope.names is not None  # noqa: S101 -- for the type checker: bound above
        name, stored_key = scope.names.of(key)
        created = opened.created_ms if life is None else store.now_ms()
        if life is None:
            soft = None if opened.soft_at_ms is None else opened.soft_at_ms - created
            hard = None if opened.hard_at_ms is None else opened.hard_at_ms - created
            life = Lifetime(soft, hard)
        version_no = state.version_no()
        frame = channel.seal(
            key, packed, created_ms=created, soft_ms=life.soft_ms, hard_ms=life.hard_ms, version_no=version_no,
            epoch=opened.epoch, seq=opened.seq, tags=opened.tags, flags=opened.flags, cost_ms=opened.cost_ms, stored_key=stored_key,
        )  # fmt: skip
        return Put(name, frame, None if life.hard_ms is None else created + life.hard_ms, expect=expect, version_no=version_no)

    def set_in_memory(self, scope: Scope, key: str, value: Any, packed: Packed, writing: Writing) -> bool:
        """Put a value in L1, where that is the only store. False if it does not fit."""
        with self._state.alone:
            return self.put_in_memory(scope, key, value, packed, writing)

    def put_in_memory(self, scope: Scope, key: str, value: Any, packed: Packed, writing: Writing) -> bool:
        """As ``set_in_memory``, for callers that hold ``alone``."""
        state = self._state
        state.stamps.touch_key(*scope.cells.key(key))  # the copies of forked siblings end here
        if writing.life.is_over or writing.flags & HIGH or scope.partition is None:
            return False
        entry = state.stamps.capture(scope.cells, key)
        state.bind_tags(scope, entry, writing.tags)
        self.finish(entry, value, packed, writing.life)
        return state.place(scope, key, entry)

    def finish(self, entry: Entry, value: Any, packed: Packed, life: Lifetime | None) -> None:
        """Fill in what a captured slot holds; without ``life`` its ``until`` is left to the caller."""
        state = self._state
        entry.version = state.version_no()
        entry.value, entry.thaw, entry.size = isolate(value, packed, state.codec)
        if life is None:
            return
        now = state.now()
        hard = FOREVER if life.hard_ms is None else now + life.hard_ms / 1000
        entry.until = hard if life.soft_ms is None else now + life.soft_ms / 1000
        if entry.extra is not None:
            entry.extra.hard = hard

    def refuse_if_read_only(self) -> None:
        """Raise NotSupported for a write through a read-only configuration."""
        if self._state.options.read_only:
            raise NotSupported("this cache is configured read_only; use a manager without read_only=True for writes")
