"""Suite l1: hits in memory, beside caches that never leave the process (F1; LocMem is F3's peer)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from caching_core.bench import Row, flat_value, nested_value, reading, text_value, uniform_keys, writing
from caching_core.comparison._memory_peers import MEMORY_PEERS
from caching_core.comparison._ours import Ours, open_ours
from caching_core.comparison._peer import Opened
from caching_core.comparison._plan import OURS, Plan


@dataclass(frozen=True, slots=True)
class _Shape:
    name: str
    value_of: Callable[[int], object]
    limits: Mapping[str, float]


_SHAPES = (
    _Shape("shared (str)", text_value, {"dogpile": 0.35, "ref": 2.0}),
    _Shape("flat dict, isolated", flat_value, {"dogpile": 0.45}),
    _Shape("nested dict, isolated", nested_value, {"dogpile": 1.25}),
)


def run_l1(plan: Plan) -> Iterator[Row]:
    """Measure gets of three shapes of values on a handle with L1 and the sealed disk tier, then sets into L1."""
    for shape in _SHAPES:
        with open_ours(plan.directory / f"l1-{shape.name[:4]}") as ours:
            yield from _gets(plan, shape, ours)
    for shape in _SHAPES:
        with open_ours(plan.directory / f"l1-set-{shape.name[:4]}", cache_levels=1) as ours:
            yield from _sets(plan, shape, ours)


def _gets(plan: Plan, shape: _Shape, ours: Ours) -> Iterator[Row]:
    names = [f"key:{number}" for number in range(plan.keys)]
    keys = uniform_keys(names, plan.reads)
    values = {name: shape.value_of(number) for number, name in enumerate(names)}
    for name, value in values.items():
        ours.put(name, value)
    ours.confirm(values)  # the first read of each lifts it into L1
    before = ours.stats()
    peers = _opened(plan, values)
    subjects = [reading(OURS, ours.get, keys), *(reading(name, peer.get, keys) for name, peer in peers.items())]
    what = f"L1 hit, {shape.name}"
    figures = plan.measure(what, subjects)
    ours.confirm_only_l1(before)
    yield from plan.rows_beside(MEMORY_PEERS, what, figures, target="F1", limits=shape.limits)
    for peer in peers.values():
        peer.close()


def _sets(plan: Plan, shape: _Shape, ours: Ours) -> Iterator[Row]:
    names = [f"key:{number}" for number in range(plan.keys)]
    value = shape.value_of(1)
    peers = _opened(plan, {})
    subjects = [writing(OURS, ours.put, names, value), *(writing(name, peer.put, names, value) for name, peer in peers.items())]
    what = f"set into L1 alone, {shape.name}"
    yield from plan.rows_beside(MEMORY_PEERS, what, plan.measure(what, subjects))
    for peer in peers.values():
        peer.close()


def _opened(plan: Plan, values: Mapping[str, object]) -> dict[str, Opened]:
    opened = {peer.name: peer.open(plan.directory) for peer in MEMORY_PEERS if peer.name in plan.peers and peer.is_installed}
    for peer in opened.values():
        for name, value in values.items():
            peer.put(name, value)
        assert all(peer.get(name) == value for name, value in values.items())
    return opened
