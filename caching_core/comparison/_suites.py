"""The suites by name, and one run over some of them."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from caching_core.bench import Report, Row, describe_machine
from caching_core.comparison._disk_peers import DISK_PEERS
from caching_core.comparison._memory_peers import MEMORY_PEERS
from caching_core.comparison._peer import Peer
from caching_core.comparison._plan import Plan
from caching_core.comparison._redis_peers import REDIS_PEERS
from caching_core.comparison._suite_disk import run_disk
from caching_core.comparison._suite_growth import run_growth
from caching_core.comparison._suite_import import run_import
from caching_core.comparison._suite_l1 import run_l1
from caching_core.comparison._suite_memory import run_memory
from caching_core.comparison._suite_redis import run_redis
from caching_core.errors import ConfigInvalid

SUITES: Mapping[str, Callable[[Plan], Iterator[Row]]] = MappingProxyType(
    {"l1": run_l1, "disk": run_disk, "redis": run_redis, "import": run_import, "memory": run_memory, "growth": run_growth}
)
PEERS: tuple[Peer, ...] = (*MEMORY_PEERS, *DISK_PEERS, *REDIS_PEERS)

_OWN_PARTS = ("cryptography", "ormsgpack", "zstandard", "lz4")


def choose_suites(wanted: str) -> tuple[str, ...]:
    """Return the suites that ``all`` or a comma-separated list of names means, in their usual order."""
    names = list(SUITES) if wanted == "all" else [name.strip() for name in wanted.split(",") if name.strip()]
    unknown = sorted(set(names) - set(SUITES))
    if unknown or not names:
        raise ConfigInvalid(f"unknown suite {', '.join(unknown) or wanted!r}; choose all or some of: {', '.join(SUITES)}")
    return tuple(name for name in SUITES if name in names)


def run_suites(names: tuple[str, ...], plan: Plan, *, on_row: Callable[[str, Row], None] | None = None) -> Report:
    """Run the suites one after the other; ``on_row`` sees each row when it is known."""
    suites: dict[str, list[Row]] = {}
    for name in names:
        suites[name] = []
        for row in SUITES[name](plan):
            suites[name].append(row)
            if on_row is not None:
                on_row(name, row)
    installed = [peer.distribution for peer in PEERS if peer.distribution and peer.name in plan.peers]
    settings = {
        "rounds": f"{plan.rounds}, interleaved; figures are medians, ± half the distance between the quartiles",
        "turn": f"about {plan.seconds_each * 1000:g} ms each; garbage collected before a turn, not during it; empty loop subtracted",
        "ratio": "median over the rounds of ours / peer's in the same round",
    }
    return Report(suites, describe_machine([*_OWN_PARTS, *installed]), settings)
