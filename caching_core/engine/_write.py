"""Write: seal under the ledger, store, touch. A set is an invalidation: the touch comes whatever happens."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from caching_core.codec import Packed, isolate
from caching_core.engine._lifetime import Lifetime
from caching_core.engine._read import HIGH, Reader
from caching_core.engine._scope import FOREVER, EngineState, Scope
from caching_core.errors import KeyUnavailable, NotSupported, TierUnavailable
from caching_core.tenancy import check_key
from caching_core.tiers import Delete, Expect, Put, Store
from caching_core.tiers.memory import Entry


@dataclass(frozen=True, slots=True)
class Writing:
    """How a value is kept."""

    life: Lifetime
    tags: tuple[str, ...] = ()
    flags: int = 0
    serializer: str | None = None


Ways = Callable[[str, Any], Writing]


class Writer:
    """The writing verbs. The order is: store, then touch, then return."""

    __slots__ = ("_reader", "_state", "_store")

    def __init__(self, state: EngineState, store: Store | None, reader: Reader) -> None:
        self._state = state
        self._store = store
        self._reader = reader

    async def set(self, scope: Scope, key: str, value: Any, writing: Writing) -> bool:
        """Store a value. False if it was skipped: the store is away or full (then the old value is gone as well)."""
        return not await self.set_many(scope, {key: value}, lambda _key, _value: writing)

    async def set_many(self, scope: Scope, values: Mapping[str, Any], how: Ways) -> list[str]:
        """Store several values in one step; returns the keys that were skipped.

        Nothing is written if one of the values cannot be kept.
        """
        state = self._state
        jobs: list[tuple[str, Any, Packed, Writing]] = []
        for key, value in values.items():
            key = check_key(key)  # noqa: PLW2901 -- an exact str
            writing = how(key, value)
            jobs.append((key, value, state.codec.pack(value, serializer=writing.serializer), writing))
        if state.options.disabled or not jobs:
            return []
        self.refuse_if_read_only()
        scope.counts.sets += len(jobs)
        if self._store is None:
            return [key for key, value, packed, writing in jobs if not self.set_in_memory(scope, key, value, packed, writing)]
        places = [scope.cells.key(job[0]) for job in jobs]
        try:
            puts = [await self.sealed(scope, key, packed, writing) for key, _, packed, writing in jobs]
            done = (await self._store.mutate(puts)).done
        except (TierUnavailable, KeyUnavailable):
            scope.counts.unavailable += 1
            scope.counts.sets_skipped += len(jobs)
            # The values are skipped, but what stood before them must not be read again.
            await self.remove(scope, [job[0] for job in jobs])
            if state.options.strict:
                raise
            return [job[0] for job in jobs]
        finally:
            state.stamps.touch_keys(places)
        skipped = [job[0] for job, put, kept in zip(jobs, puts, done, strict=True) if not kept and isinstance(put, Put)]
        scope.counts.sets_skipped += len(skipped)
        return skipped

    async def sealed(
        self, scope: Scope, key: str, packed: Packed, writing: Writing, *, expect: bytes | Expect = Expect.ANYTHING
    ) -> Put | Delete:
        """Seal a value under the tenant's ledger as it stands now; a value whose time is over is a delete."""
        state, store = self._state, self._store
        assert store is not None  # noqa: S101 -- for the type checker: the callers asked
        if scope.keys_until <= state.now() or scope.channel is None or scope.names is None:
            await state.bind_keys(scope)
        assert scope.names is not None  # noqa: S101 -- for the type checker: bound above
        assert scope.channel is not None  # noqa: S101 -- for the type checker: bound above
        name, stored_key = scope.names.of(key)
        if writing.life.is_over:
            return Delete(name, expect)
        entry, _ = state.stamps.capture(scope.cells, key)
        state.bind_tags(scope, entry, writing.tags)
        ledger = await self._reader.ledger(scope, entry)
        now_ms = store.now_ms()
        frame = scope.channel.seal(
            key, packed, created_ms=now_ms, soft_ms=writing.life.soft_ms, hard_ms=writing.life.hard_ms,
            version_no=state.stamps.version_no(), epoch=ledger.epoch, seq=ledger.seq, tags=writing.tags,
            flags=writing.flags, stored_key=stored_key,
        )  # fmt: skip
        expires = None if writing.life.hard_ms is None else now_ms + writing.life.hard_ms
        return Put(name, frame, expires, expect=expect)

    async def remove(self, scope: Scope, keys: Sequence[str]) -> list[bool]:
        """Delete keys from the store; per key whether it was there. Raises TierUnavailable if it cannot be done at all."""
        store = self._store
        assert store is not None  # noqa: S101 -- for the type checker: the callers asked
        if scope.names is None:
            await self._state.bind_keys(scope)
        assert scope.names is not None  # noqa: S101 -- for the type checker: bound above
        names = scope.names
        return list((await store.mutate([Delete(names.of(key)[0]) for key in keys])).done)

    def set_in_memory(self, scope: Scope, key: str, value: Any, packed: Packed, writing: Writing) -> bool:
        """Put a value in L1, where that is the only store. False if it does not fit."""
        state = self._state
        state.stamps.touch_key(*scope.cells.key(key))  # the copies of forked siblings end here
        if writing.life.is_over or writing.flags & HIGH or scope.partition is None:
            return False
        entry, _ = state.stamps.capture(scope.cells, key)
        state.bind_tags(scope, entry, writing.tags)
        self._finish(entry, value, packed, writing.life)
        return state.place(scope, key, entry)

    def _finish(self, entry: Entry, value: Any, packed: Packed, life: Lifetime) -> None:
        state = self._state
        entry.version = state.stamps.version_no()
        entry.value, entry.thaw, entry.size = isolate(value, packed, state.codec)
        now = state.now()
        hard = FOREVER if life.hard_ms is None else now + life.hard_ms / 1000
        entry.until = hard if life.soft_ms is None else now + life.soft_ms / 1000
        if entry.extra is not None:
            entry.extra.hard = hard

    def refuse_if_read_only(self) -> None:
        """Raise NotSupported for a write through a read-only configuration."""
        if self._state.options.read_only:
            raise NotSupported("this cache is configured read_only; use a manager without read_only=True for writes")
