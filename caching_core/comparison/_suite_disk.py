"""Suite disk: values that another process wrote, read from the sealed disk tier (F4)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from caching_core.bench import Row, Subject, reading, writing
from caching_core.comparison._disk_peers import DISK_PEERS
from caching_core.comparison._ours import open_ours
from caching_core.comparison._peer import Opened
from caching_core.comparison._plan import OURS, Plan
from caching_core.comparison._process import ask_module
from caching_core.comparison._shapes import SHAPES, key_of

_PLAIN = "without promotion"
_PROMOTED = "with promotion"


@dataclass(frozen=True, slots=True)
class _Case:
    shape: str
    title: str
    get: float
    promoted: float | None
    put: float | None


_CASES = (
    _Case("flat", "200 B dict", 1.0, 1.2, 0.3),
    _Case("record", "2 KB dict", 1.0, 1.2, 0.3),
    _Case("page", "20 KB text", 1.7, None, None),
    _Case("document", "20 KB of dicts", 1.7, None, None),
)


def run_disk(plan: Plan) -> Iterator[Row]:
    """Fill ours and the peers from another process, then read; then set."""
    peers = [peer for peer in DISK_PEERS if peer.name in plan.peers and peer.is_installed]
    plan.say("disk: another process writes")
    _seed(plan, [peer.name for peer in peers])
    opened = {peer.name: peer.open(plan.directory / peer.name) for peer in peers}
    try:
        for case in _CASES:
            yield from _gets(plan, case, opened)
        for case in _CASES:
            yield from _sets(plan, case, opened)
    finally:
        for peer in opened.values():
            peer.close()


def _seed(plan: Plan, peers: Sequence[str]) -> None:
    ask_module("caching_core.comparison._seed", {"directory": str(plan.directory), "peers": list(peers), "keys": plan.disk_keys})


def _gets(plan: Plan, case: _Case, opened: dict[str, Opened]) -> Iterator[Row]:
    keys = [key_of(case.shape, number) for number in range(plan.disk_keys)]
    values = {key: SHAPES[case.shape](number) for number, key in enumerate(keys)}
    place = plan.directory / "ours"
    subjects = [reading(name, peer.get, keys) for name, peer in opened.items()]
    for peer in opened.values():
        assert all(peer.get(key) == value for key, value in values.items())
    with (
        open_ours(place, l1_enabled=False) as plain,
        open_ours(place) as promoting,
    ):
        plain.confirm(values)
        promoting.confirm(values)
        before = (plain.stats(), promoting.stats())
        subjects += [reading(_PLAIN, plain.get, keys), reading(_PROMOTED, promoting.get, keys, prepare=promoting.forget)]
        figures = plan.measure(f"disk get, {case.title}", subjects)
        plain.confirm_no_l1(before[0])
        promoting.confirm_no_l1(before[1])
    for variant, limit in ((_PLAIN, case.get), (_PROMOTED, case.promoted)):
        what = f"disk get, {case.title}, {variant}"
        yield from plan.rows_beside(DISK_PEERS, what, figures, ours=variant, target="F4", limits=_limits(limit))


def _sets(plan: Plan, case: _Case, opened: dict[str, Opened]) -> Iterator[Row]:
    keys = [f"set:{case.shape}:{number}" for number in range(plan.disk_keys)]
    value = SHAPES[case.shape](1)
    what = f"disk set, {case.title}"
    with open_ours(plan.directory / "ours") as ours:
        subjects: list[Subject] = [writing(OURS, ours.put, keys, value)]
        subjects += [writing(name, peer.put, keys, value) for name, peer in opened.items()]
        figures = plan.measure(what, subjects)
    yield from plan.rows_beside(DISK_PEERS, what, figures, target="F4", limits=_limits(case.put))


def _limits(limit: float | None) -> dict[str, float]:
    return {} if limit is None else {"diskcache": limit}
