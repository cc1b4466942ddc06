"""Change in place: add, incr, touch, persist, by compare-and-swap on the stored frame's nonce."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from caching_core.codec import Opened, Packed, Refused
from caching_core.engine._lifetime import Lifetime
from caching_core.engine._read import Reader, Standing
from caching_core.engine._scope import FOREVER, EngineState, Scope
from caching_core.engine._write import Writer, Writing
from caching_core.errors import TierUnavailable, ValueNotKept
from caching_core.runtime import Runtime
from caching_core.tenancy import check_key
from caching_core.tiers import Expect, Store
from caching_core.types import MISSING, Missing

_MOST_TRIES: Final = 2000
_LONGEST_PAUSE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Current:
    """What stands under a key before a change: ``value`` or MISSING, its lifetime from now on, tags and flags."""

    value: Any | Missing
    life: Lifetime
    tags: tuple[str, ...] = ()
    flags: int = 0
    serializer: str | None = None


Change = Callable[[Current], tuple[Any, Writing] | None]  # the value to store, or None to leave it


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
        """Store a value unless one stands there; whether it was stored."""
        self._state.codec.pack(value, serializer=writing.serializer)  # refused before anything is read
        return await self.change(scope, key, lambda now: (value, writing) if now.value is MISSING else None)

    async def incr(self, scope: Scope, key: str, delta: int, *, initial: int | None, life: Lifetime) -> int | None:
        """Add ``delta`` to an integer; a missing one starts at ``initial`` with ``life``, or stays missing if that is None."""
        if type(delta) is not int:
            raise ValueNotKept(f"delta is a {type(delta).__name__}; incr and decr take an int")
        result: int | None = None

        def step(now: Current) -> tuple[int, Writing] | None:
            nonlocal result
            if now.value is MISSING:
                if initial is None:
                    result = None
                    return None
                result = initial + delta
                return result, Writing(life)
            if type(now.value) is not int:
                raise ValueNotKept(f"the value under key {key!r} is a {type(now.value).__name__}; incr and decr need an int")
            result = now.value + delta
            return result, Writing(now.life, now.tags, now.flags, now.serializer)

        await self.change(scope, key, step)
        return result

    async def relive(self, scope: Scope, key: str, life: Lifetime) -> bool:
        """Give the value under ``key`` another lifetime from now on (touch, expire, persist); whether it was there."""

        def step(now: Current) -> tuple[Any, Writing] | None:
            return None if now.value is MISSING else (now.value, Writing(life, now.tags, now.flags, now.serializer))

        return await self.change(scope, key, step)

    async def remaining(self, scope: Scope, key: str) -> Lifetime | None:
        """Return what is left of the lifetime of the value under ``key``; None if there is no value."""
        key = check_key(key)
        current, _ = await self._current(scope, key)
        return None if current.value is MISSING else current.life

    async def change(self, scope: Scope, key: str, step: Change) -> bool:
        """Apply ``step`` to what stands under ``key``, again until nobody came between. Raises TierUnavailable."""
        key = check_key(key)
        state = self._state
        if state.options.disabled:
            return False
        self._writer.refuse_if_read_only()
        if self._store is None:
            return self._change_in_memory(scope, key, step)
        pause = 0.0
        for _ in range(_MOST_TRIES):
            current, expect = await self._current(scope, key)
            wanted = step(current)
            if wanted is None:
                return False
            value, writing = wanted
            try:
                if await self._swapped(scope, key, value, writing, expect):
                    scope.counts.sets += 1
                    return True
            finally:
                state.stamps.touch_key(*scope.cells.key(key))
            await self._runtime.sleep(pause)
            pause = min(pause + 0.0002, _LONGEST_PAUSE)
        raise TierUnavailable(
            f"key {key!r} of tenant {scope.tenant} changed {_MOST_TRIES} times while it was being changed; try again later"
        )

    async def _swapped(self, scope: Scope, key: str, value: Any, writing: Writing, expect: bytes | Expect) -> bool:
        assert self._store is not None  # noqa: S101 -- for the type checker: the caller asked
        packed = self._state.codec.pack(value, serializer=writing.serializer)
        job = await self._writer.sealed(scope, key, packed, writing, expect=expect)
        return (await self._store.mutate([job])).done[0]

    async def _current(self, scope: Scope, key: str) -> tuple[Current, bytes | Expect]:
        """Return what stands under ``key`` and what a swap must expect there."""
        state, store = self._state, self._store
        if store is None:
            return self._in_memory(scope, key), Expect.ABSENT
        if state.options.disabled:
            return _NOTHING, Expect.ABSENT
        entry = state.stamps.capture(scope.cells, key)
        if scope.keys_until <= state.now() or scope.names is None:
            await state.bind_keys(scope)
        assert scope.names is not None  # noqa: S101 -- for the type checker: bound above
        blob = await store.get(scope.names.of(key)[0])
        if blob is None:
            return _NOTHING, Expect.ABSENT
        standing, opened = await self._reader.weigh(scope, key, entry, blob)
        if standing not in _THERE or opened is None:
            return _NOTHING, blob[57:81]
        try:
            return self._opened(opened, store.now_ms()), blob[57:81]
        except Refused as refused:
            self._reader.report(scope, key, refused)
            return _NOTHING, blob[57:81]

    def _opened(self, opened: Opened, now_ms: int) -> Current:
        hard = None if opened.hard_at_ms is None else max(10, opened.hard_at_ms - now_ms)
        soft = None if opened.soft_at_ms is None else max(10, opened.soft_at_ms - now_ms)
        return Current(self._state.codec.unpack(opened), Lifetime(soft, hard), opened.tags, opened.flags, opened.user)

    def _in_memory(self, scope: Scope, key: str) -> Current:
        entry = scope.entries.get(key)
        if entry is None or not self._state.recheck(scope, key, entry):
            return _NOTHING
        left = None if entry.until == FOREVER else max(10, round((entry.until - self._state.now()) * 1000))
        value = entry.value if entry.thaw is None else entry.thaw(entry.value)
        return Current(value, Lifetime(None, left), entry.extra.tags if entry.extra is not None else ())

    def _change_in_memory(self, scope: Scope, key: str, step: Change) -> bool:
        with self._state.alone:
            wanted = step(self._in_memory(scope, key))
            if wanted is None:
                return False
            value, writing = wanted
            packed: Packed = self._state.codec.pack(value, serializer=writing.serializer)
            scope.counts.sets += 1
            return self._writer.set_in_memory(scope, key, value, packed, writing)


_NOTHING: Final = Current(MISSING, Lifetime(None, None))
_THERE: Final = frozenset({Standing.VALID, Standing.STALE})
