"""One thread or task of a run: seeded operations on the cache, each recorded with its times."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from caching_core.errors import CacheError
from caching_core.testing.history._plan import Place, Truth, Universe
from caching_core.testing.history._record import Recorder, Scope, Tier
from caching_core.testing.history._subject import Handle, Subject

_FOREVER: Final = 300.0
_SKEW: Final = 2.0  # the popular keys come first: rank = keys * u ** _SKEW
_BATCH: Final = 5

# Out of 1000 operations; what is left are get_or_set. The owner's own writes come to about 8 of 100.
_GET: Final = 200
_GET_MANY: Final = _GET + 20
_DELETE: Final = _GET_MANY + 35
_SET: Final = _DELETE + 30
_TAG: Final = _SET + 12
_FOREIGN_TAG: Final = _TAG + 5
_FOREIGN_DELETE: Final = _FOREIGN_TAG + 5
_CLEAR: Final = _FOREIGN_DELETE + 1


class Session:
    """Acts as session number ``number``: reads any key, writes its own, invalidates anything."""

    def __init__(self, universe: Universe, number: int, *, subject: Subject, truth: Truth, recorder: Recorder) -> None:
        plan = self._plan = universe.plan
        self._is_loop = plan.world_of(number // plan.concurrency) == "loop"
        self._places = universe.places
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

    async def run(self, operations: int) -> None:
        """Do that many operations."""
        draw, places = self._random.random, self._places
        for _ in range(operations):
            place = places[int(len(places) * draw() ** _SKEW)]
            begin = time.monotonic_ns()
            try:
                await self._operate(int(draw() * 1000), place)
            except CacheError as error:
                self._recorder.failed(place.number, begin, time.monotonic_ns())
                self.counts["errors"] += 1
                if len(self.errors) < 5:
                    self.errors.append(f"{type(error).__name__}: {error}")

    async def sweep(self) -> None:
        """Read every key once, at rest: by ``get``, and by ``get_or_set``."""
        for place in self._places:
            await self._get(place)
            await self._get_or_set(place)

    async def _operate(self, choice: int, place: Place) -> None:
        if choice < _GET:
            await self._get(place)
        elif choice < _GET_MANY:
            await self._get_many(place)
        elif choice < _TAG:
            await self._write(choice)
        elif choice < _FOREIGN_TAG:
            await self._invalidate(Scope.TAG, place)
        elif choice < _FOREIGN_DELETE:
            await self._invalidate(Scope.KEY, place)
        elif choice < _CLEAR:
            await self._invalidate(Scope.NAMESPACE, place)
        else:
            await self._get_or_set(place)

    # -- reading ---------------------------------------------------------------------------------

    async def _get(self, place: Place) -> None:
        self.counts["get"] += 1
        begin = time.monotonic_ns()
        value = await self._handle(place).get(place.key)
        self._record(place, value, begin, time.monotonic_ns())

    async def _get_many(self, place: Place) -> None:
        self.counts["get_many"] += 1
        alike = dict.fromkeys(self._places[(place.number + step * self._stride) % len(self._places)] for step in range(_BATCH))
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

    async def _write(self, choice: int) -> None:
        if not self._own:
            return
        place = self._own[int(len(self._own) * self._random.random() ** _SKEW)]
        if choice < _DELETE:
            await self._change([place], "delete", lambda: self._handle(place).delete(place.key))
        elif choice < _SET:
            await self._change([place], "set", lambda: self._handle(place).set(place.key, self._now(place), ttl=_FOREVER, tags=[place.tag]))
        else:
            alike = [other for other in self._own if other.tag_number == place.tag_number][:_BATCH]
            await self._change(alike, "tag", lambda: self._handle(place).invalidate_tags(place.tag), group=place.tag_number)

    def _now(self, place: Place) -> dict[str, Any]:
        return self._value(place, self._truth[place.number])

    async def _change(self, places: list[Place], verb: str, invalidate: Callable[[], Any], *, group: int | None = None) -> None:
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

    async def _invalidate(self, scope: Scope, place: Place) -> None:
        """Invalidate what others may have written."""
        self.counts[f"foreign {scope.name.lower()}"] += 1
        handle, begin = self._handle(place), time.monotonic_ns()
        if scope is Scope.TAG:
            name = place.tag_number
            await handle.invalidate_tags(place.tag)
        elif scope is Scope.NAMESPACE:
            name = place.namespace_number
            await handle.clear()
        else:
            name = place.number
            await handle.delete(place.key)
        self._recorder.invalidated(scope, name, begin, time.monotonic_ns())
