"""One thread or task of a run: seeded operations on the cache, each recorded with its times."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

from caching_core.errors import CacheError, DeadlineExceeded
from caching_core.testing.history._plan import STEP, Place, Truth, Universe, turn_of
from caching_core.testing.history._record import Recorder, Scope, Tier
from caching_core.testing.history._subject import Handle, Subject

_FOREVER: Final = 300.0
_SKEW: Final = 2.0  # the popular keys come first: rank = keys * u ** _SKEW
_BATCH: Final = 5

Act = Callable[[Place], Awaitable[None]]


class Session:
    """Acts as session number ``number``: reads, keeps and invalidates any key, writes its own, and counts."""

    def __init__(self, universe: Universe, number: int, *, subject: Subject, truth: Truth, recorder: Recorder) -> None:
        plan = self._plan = universe.plan
        self._is_loop = plan.world_of(number // plan.concurrency) == "loop"
        self._universe = universe
        self._own = universe.owned_by(number)
        self._subject = subject
        self._truth = truth.versions
        self._recorder = recorder
        self._random = random.Random(f"{plan.seed}:{number}")  # noqa: S311 -- a workload, drawn again from its seed
        self._handles: dict[tuple[str, str], Handle] = {}
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []

    def _handle(self, place: Place) -> Handle:
        where = (place.tenant, place.namespace)
        handle = self._handles.get(where)
        if handle is None:
            handle = self._handles[where] = self._subject.handle(*where)
        return handle

    def _mix(self) -> list[tuple[int, Act, list[Place]]]:
        """Return how often of 1000 to do what, and to which places. The owner's own writes come to about 8 of 100."""
        every, own, counters = self._universe.places, self._own, self._universe.counters
        return [
            (608, self._get_or_set, every),
            (200, self._get, every),
            (20, self._get_many, every),
            (35, self._delete, own),
            (30, self._set, own),
            (12, self._invalidate_tag, own),
            (5, self._invalidate_foreign_tag, every),
            (5, self._delete_foreign, every),
            (1, self._clear, every),
            (12, self._touch, every),
            (6, self._persist, every),
            (30, self._incr, counters),
            (10, self._decr, counters),
            (20, self._get_counter, counters),
            (4, self._persist_counter, counters),
            (2, self._delete_foreign, counters),
        ]

    async def run(self, operations: int) -> None:
        """Do that many operations."""
        mix, draw = self._mix(), self._random.random
        for _, act, places in self._random.choices(mix, [weight for weight, _, _ in mix], k=operations):
            if not places:
                continue
            place = places[int(len(places) * draw() ** _SKEW)]
            begin = time.monotonic_ns()
            try:
                await act(place)
            except CacheError as error:
                self._recorder.failed(place.number, begin, time.monotonic_ns())
                self.counts["errors"] += 1
                if len(self.errors) < 5:
                    self.errors.append(f"{act.__name__.strip('_')}: {type(error).__name__}: {error}")

    async def sweep(self) -> None:
        """Read everything once, at rest: counters by ``get``, keys by ``get`` and by ``get_or_set``."""
        for place in self._universe.places:
            await self._get(place)
            await self._get_or_set(place)
        for counter in self._universe.counters:
            await self._get_counter(counter)

    # -- reading ---------------------------------------------------------------------------------

    async def _get(self, place: Place) -> None:
        self.counts["get"] += 1
        begin = time.monotonic_ns()
        value = await self._handle(place).get(place.key)
        self._record(place, value, begin, time.monotonic_ns())

    async def _get_many(self, place: Place) -> None:
        self.counts["get_many"] += 1
        places = self._universe.places
        alike = dict.fromkeys(places[(place.number + step * self._stride) % len(places)] for step in range(_BATCH))
        wanted = [other for other in alike if (other.tenant, other.namespace) == (place.tenant, place.namespace)]
        begin = time.monotonic_ns()
        values = await self._handle(place).get_many([other.key for other in wanted])
        end = time.monotonic_ns()
        for other in wanted:
            self._record(other, values.get(other.key), begin, end)

    @property
    def _stride(self) -> int:
        return self._plan.tenants * self._plan.namespaces

    async def _get_or_set(self, place: Place) -> None:
        self.counts["get_or_set"] += 1
        loaded = False

        def load() -> Any:
            nonlocal loaded
            loaded = True
            return self._loaded_later(place) if self._is_loop else self._loaded(place)

        begin = time.monotonic_ns()
        value = await self._handle(place).get_or_set(place.key, load, ttl=self._ttl(place), tags=[place.tag])
        self._record(place, value, begin, time.monotonic_ns(), tier=Tier.LOADED if loaded else Tier.UNKNOWN)

    def _loaded(self, place: Place) -> dict[str, Any]:
        value = self._read_truth(place)
        if self._random.random() < self._plan.slow_loads:
            time.sleep(self._plan.load_seconds)
        return value

    async def _loaded_later(self, place: Place) -> dict[str, Any]:
        value = self._read_truth(place)
        if self._random.random() < self._plan.slow_loads:
            await asyncio.sleep(self._plan.load_seconds)
        return value

    def _read_truth(self, place: Place) -> dict[str, Any]:
        self.counts["loads"] += 1
        born = time.monotonic_ns()
        value = self._value(place, self._truth[place.number])
        value["until"] = born + int(self._ttl(place) * 1e9)
        return value

    def _ttl(self, place: Place) -> float:
        return self._plan.ttl if place.number % 5 == 0 else _FOREVER

    def _value(self, place: Place, version: int) -> dict[str, Any]:
        return {"key": place.number, "tenant": place.tenant, "version": version, "until": 0, "pad": "x" * (place.number % 97)}

    def _record(self, place: Place, value: Any, begin: int, end: int, *, tier: Tier = Tier.UNKNOWN) -> None:
        if value is None:
            self._recorder.missed(place.number, begin, end)
            return
        foreign = value["key"] != place.number or value["tenant"] != place.tenant
        self._recorder.read(place.number, value["version"], begin, end, deadline=value["until"], tier=tier, foreign=foreign)
        if place.number % 3 == 0:
            value["tenant"] = "changed by its reader"  # seen by nobody else, or I6 tells

    # -- writing ---------------------------------------------------------------------------------

    async def _delete(self, place: Place) -> None:
        await self._change([place], "delete", lambda: self._handle(place).delete(place.key))

    async def _set(self, place: Place) -> None:
        await self._change([place], "set", lambda: self._handle(place).set(place.key, self._now(place), ttl=_FOREVER, tags=[place.tag]))

    async def _invalidate_tag(self, place: Place) -> None:
        alike = [other for other in self._own if other.tag_number == place.tag_number][:_BATCH]
        await self._change(alike, "tag", lambda: self._handle(place).invalidate_tags(place.tag), group=place.tag_number)

    def _now(self, place: Place) -> dict[str, Any]:
        value = self._value(place, self._truth[place.number])
        # Its lifetime begins at some moment of the set: this is later than its end, and tells the sets of a key apart.
        value["until"] = time.monotonic_ns() + int(2 * _FOREVER * 1e9)
        return value

    async def _change(
        self, places: list[Place], verb: str, invalidate: Callable[[], Awaitable[object]], *, group: int | None = None
    ) -> None:
        """Commit the next version of some keys, then invalidate, then record that it was acknowledged."""
        self.counts[verb] += 1
        recorder, truth = self._recorder, self._truth
        committed: list[tuple[int, int, int, int]] = []
        for place in places:
            version, begin = truth[place.number] + 1, time.monotonic_ns()
            recorder.wrote(place.number, version, begin)
            truth[place.number] = version
            committed.append((place.number, version, begin, time.monotonic_ns()))
        called = time.monotonic_ns()
        await invalidate()
        acked = time.monotonic_ns()
        for number, version, begin, visible in committed:
            recorder.wrote(number, version, begin, acked=acked if group is None else 0, visible=visible)
        if group is not None:
            recorder.invalidated(Scope.TAG, group, called, acked)

    # -- invalidating what others may have written -----------------------------------------------

    async def _invalidate_foreign_tag(self, place: Place) -> None:
        await self._invalidate(Scope.TAG, place.tag_number, lambda: self._handle(place).invalidate_tags(place.tag))

    async def _delete_foreign(self, place: Place) -> None:
        await self._invalidate(Scope.KEY, place.number, lambda: self._handle(place).delete(place.key))

    async def _clear(self, place: Place) -> None:
        await self._invalidate(Scope.NAMESPACE, place.namespace_number, self._handle(place).clear)

    async def _invalidate(self, scope: Scope, name: int, invalidate: Callable[[], Awaitable[object]]) -> None:
        self.counts[f"foreign {scope.name.lower()}"] += 1
        begin = time.monotonic_ns()
        self._recorder.invalidated(scope, name, begin)
        await invalidate()
        self._recorder.invalidated(scope, name, begin, time.monotonic_ns())

    # -- keeping ---------------------------------------------------------------------------------

    async def _touch(self, place: Place) -> None:
        ttl = self._random.choice((self._plan.ttl, _FOREVER))
        await self._keep(place, "touch", lambda: self._handle(place).touch(place.key, ttl), ttl)

    async def _persist(self, place: Place) -> None:
        await self._keep(place, "persist", lambda: self._handle(place).persist(place.key), None)

    async def _keep(self, place: Place, verb: str, keep: Callable[[], Awaitable[bool]], ttl: float | None) -> None:
        self.counts[verb] += 1
        begin = time.monotonic_ns()
        self._recorder.touched(place.number, begin)
        found: bool | None = None
        with self._refusals():
            found = await keep()
        end = time.monotonic_ns()
        self._recorder.touched(place.number, begin, end, limit=0 if ttl is None else end + int(ttl * 1e9), found=found)

    # -- counting --------------------------------------------------------------------------------

    async def _incr(self, counter: Place) -> None:
        await self._count(counter, "incr", lambda: self._handle(counter).incr(counter.key, STEP, ttl=None))

    async def _decr(self, counter: Place) -> None:
        await self._count(counter, "decr", lambda: self._handle(counter).decr(counter.key, ttl=None))

    async def _count(self, counter: Place, verb: str, change: Callable[[], Awaitable[int | None]]) -> None:
        self.counts[verb] += 1
        begin = time.monotonic_ns()
        self._recorder.changed(counter.number, begin)
        turn = 0
        with self._refusals():
            turn = turn_of(await change())
        self._recorder.changed(counter.number, begin, time.monotonic_ns(), turn=turn)

    async def _get_counter(self, counter: Place) -> None:
        self.counts["get counter"] += 1
        begin = time.monotonic_ns()
        total = await self._handle(counter).get(counter.key)
        self._recorder.counted(counter.number, turn_of(total), begin, time.monotonic_ns())

    async def _persist_counter(self, counter: Place) -> None:
        """Keep a sum, which is for ever as it is: this must not lose a change that comes between."""
        self.counts["persist counter"] += 1
        with self._refusals():
            await self._handle(counter).persist(counter.key)

    @contextmanager
    def _refusals(self) -> Generator[None]:
        """Count a change in place that did not get its turn in time: on a busy machine that is an answer, not an error."""
        try:
            yield
        except DeadlineExceeded:
            self.counts["refused"] += 1
