"""Change in place: add, incr, touch, persist, by compare-and-swap on the stored frame's nonce.

What was read is sealed again under the epoch and seq that it was read with, never under those of the moment of the
swap: an invalidation that comes between leaves the nonce alone, and must not be undone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from caching_core.codec import Opened, Refused, SerializerId
from caching_core.coherence import Extra
from caching_core.engine._lifetime import Lifetime
from caching_core.engine._read import Reader, Standing
from caching_core.engine._scope import FOREVER, EngineState, Scope
from caching_core.engine._write import Writer, Writing
from caching_core.errors import KeyNeverMade, TierUnavailable, ValueNotKept
from caching_core.runtime import Runtime
from caching_core.tenancy import check_key, named
from caching_core.tiers import Delete, EntryChange, Expect, Store
from caching_core.tiers.memory import Entry
from caching_core.types import MISSING, Missing

_MOST_TRIES: Final = 2000
_LONGEST_PAUSE: Final = 0.01
_NAMED: Final = frozenset({int(SerializerId.JSON), int(SerializerId.USER)})


@dataclass(frozen=True, slots=True)
class Found:
    """What stands under a key before a change: its value or MISSING, and where it came from."""

    value: Any | Missing
    opened: Opened | None = None
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to stand there: a value, and for one that stands a new lifetime (None: the one that it has).

    ``writing`` says how a value is kept that stood not there before.
    """

    value: Any
    life: Lifetime | None = None
    writing: Writing | None = None

    @property
    def is_over(self) -> bool:
        """Return whether the value would be expired at once."""
        life = self.life if self.writing is None else self.writing.life
        return life is not None and life.is_over


Step = Callable[[Any], Wanted | None]  # of the value that stands, or MISSING; None leaves it


class Changer:
    """The read-modify-write verbs; atomic between threads, tasks and processes."""

    __slots__ = ("_reader", "_runtime", "_state", "_store", "_writer")

    def __init__(self, state: EngineState, store: Store | None, runtime: Runtime, reader: Reader, writer: Writer) -> None:
        self._state = state
        self._store = store
        self._runtime = runtime
        self._reader = reader
        self._writer = writer

    async def add(self, scope: Scope, key: str, value: Any, writing: Writing) -> bool:
        """Store a value unless one stands there; False if one does."""
        self._state.codec.pack(value, serializer=writing.serializer)  # refused before anything is read
        if self._state.options.disabled:
            return True  # who takes it for a lock goes on; nothing that stands there was to change
        return await self._change(scope, key, lambda now: Wanted(value, writing=writing) if now is MISSING else None)

    async def incr(self, scope: Scope, key: str, delta: int, *, initial: int | None, writing: Writing) -> int | None:
        """Add ``delta`` to an integer, whose lifetime stays; a missing one starts at ``initial``, or stays missing if that is None."""
        for name, number in (("delta", delta), ("initial", 0 if initial is None else initial)):
            if type(number) is not int:
                raise ValueNotKept(f"{name} is a {type(number).__name__}; incr and decr take an int")
        result: int | None = None if initial is None else initial + delta
        if self._state.options.disabled:
            await self._writer.skip(scope, [check_key(key)])
            return result

        def step(now: Any) -> Wanted | None:
            nonlocal result
            if now is MISSING:
                result = None if initial is None else initial + delta
                return None if result is None else Wanted(result, writing=writing)
            if type(now) is not int:
                raise ValueNotKept(f"the value under {named(key)} is a {type(now).__name__}; incr and decr need an int: set one first")
            result = now + delta
            return Wanted(result)

        await self._change(scope, key, step)
        return result

    async def relive(self, scope: Scope, key: str, life: Lifetime) -> bool:
        """Give the value under ``key`` another lifetime from now on (touch, expire, persist); whether it was there."""
        if self._state.options.disabled:
            if life.is_over:
                await self._writer.skip(scope, [check_key(key)])
            return False
        return await self._change(scope, key, lambda now: None if now is MISSING else Wanted(now, life))

    async def remaining(self, scope: Scope, key: str) -> Lifetime | None:
        """Return what is left of the lifetime of the value under ``key``, in whole ms; None if there is no value."""
        key = check_key(key)
        if self._state.options.disabled:
            return None
        if self._store is None:
            found = self._in_memory(scope, key)
            if found.entry is None:
                return None
            until = found.entry.until
            return Lifetime(None, None if until == FOREVER else round((until - self._state.now()) * 1000))
        found, _ = await self._found(scope, key)
        if found.opened is None:
            return None
        now_ms = self._store.now_ms()
        soft, hard = found.opened.soft_at_ms, found.opened.hard_at_ms
        return Lifetime(None if soft is None else soft - now_ms, None if hard is None else hard - now_ms)

    async def _change(self, scope: Scope, key: str, step: Step) -> bool:
        """Apply ``step`` to what stands under ``key``, again until nobody came between. Raises TierUnavailable."""
        key = check_key(key)
        self._writer.refuse_if_read_only()
        if self._store is None:
            return self._change_in_memory(scope, key, step)
        pause = 0.0
        for _ in range(_MOST_TRIES):
            found, expect = await self._found(scope, key)
            wanted = step(found.value)
            if wanted is None:
                return False
            if wanted.is_over and expect is Expect.ABSENT:
                return True  # stored, and expired at once
            change = await self._sealed(scope, key, found, wanted, expect)
            try:
                swapped = (await self._store.mutate([change])).done[0]
            finally:
                self._state.stamps.touch_key(*scope.cells.key(key))
            if swapped:
                scope.counts.sets += 1
                return True
            await self._runtime.sleep(pause)
            pause = min(pause + 0.0002, _LONGEST_PAUSE)
        raise TierUnavailable(
            f"{named(key)} of tenant {scope.tenant} changed {_MOST_TRIES} times while it was being changed; try again later"
        )

    async def _sealed(self, scope: Scope, key: str, found: Found, wanted: Wanted, expect: bytes | Expect) -> EntryChange:
        if found.opened is None:
            writing = wanted.writing
            assert writing is not None  # noqa: S101 -- for the type checker: a step gives one where nothing stood
            packed = self._state.codec.pack(wanted.value, serializer=writing.serializer)
            return await self._writer.sealed(scope, key, packed, writing, expect=expect)
        if wanted.is_over:
            assert scope.names is not None  # noqa: S101 -- for the type checker: bound when it was found
            return Delete(scope.names.of(key)[0], expect)
        serializer = found.opened.serializer_name if found.opened.serializer in _NAMED else None
        packed = self._state.codec.pack(wanted.value, serializer=serializer)
        return await self._writer.sealed_again(scope, key, packed, found.opened, life=wanted.life, expect=expect)

    async def _found(self, scope: Scope, key: str) -> tuple[Found, bytes | Expect]:
        """Return what stands under ``key`` and what a swap must expect there."""
        state, store = self._state, self._store
        assert store is not None  # noqa: S101 -- for the type checker: the callers asked
        entry = state.capture(scope, key)
        if scope.keys_until <= state.now() or scope.names is None:
            try:
                await state.bind_keys(scope)
            except KeyNeverMade:
                return _NOTHING, Expect.ABSENT
        assert scope.names is not None  # noqa: S101 -- for the type checker: bound above
        blob = await store.get(scope.names.of(key)[0])
        if blob is None:
            return _NOTHING, Expect.ABSENT
        standing, opened = await self._reader.weigh(scope, key, entry, blob)
        if standing is not Standing.VALID or opened is None:
            return _NOTHING, blob[57:81]
        try:
            return Found(state.codec.unpack(opened), opened), blob[57:81]
        except Refused as refused:
            self._reader.report(scope, key, refused)
            return _NOTHING, blob[57:81]

    def _in_memory(self, scope: Scope, key: str) -> Found:
        entry = scope.entries.get(key)
        if entry is None or not self._state.recheck(scope, key, entry):
            return _NOTHING
        return Found(entry.value if entry.thaw is None else entry.thaw(entry.value), entry=entry)

    def _change_in_memory(self, scope: Scope, key: str, step: Step) -> bool:
        state, stamps = self._state, self._state.stamps
        with state.alone:
            found = self._in_memory(scope, key)
            wanted = step(found.value)
            if wanted is None:
                return False
            packed = state.codec.pack(wanted.value, serializer=None if wanted.writing is None else wanted.writing.serializer)
            scope.counts.sets += 1
            old = found.entry
            if old is None:
                assert wanted.writing is not None  # noqa: S101 -- for the type checker: a step gives one where nothing stood
                self._writer.put_in_memory(scope, key, wanted.value, packed, wanted.writing)
                return True
            cell, lane = scope.cells.key(key)
            stamps.touch_key(cell, lane)
            if wanted.is_over:
                return True
            # Its own cell as it is after this change; everything else as it was when the old value was good: a tag or
            # namespace that is invalidated meanwhile ends the new value like the old one.
            entry = stamps.capture(scope.cells, key)
            entry.guard = old.guard
            if old.extra is not None:
                entry.mark = (entry.mark, *old.mark[1:])
                entry.extra = Extra(old.extra.tags, tag_cells=old.extra.tag_cells, hard=old.extra.hard)
            self._writer.finish(entry, wanted.value, packed, wanted.life)
            if wanted.life is None:
                entry.until = old.until
            entry.seen = 0.0  # its first read compares all of them
            state.put(scope, key, entry)
            return True


_NOTHING: Final = Found(MISSING)
