"""What the memory tier tells about itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from caching_core.tiers.memory._entry import Partition


@dataclass(frozen=True, slots=True)
class MemoryUsage:
    """A consistent look at L1: ``bytes`` are the entries', ``ghost_bytes`` the policy's memory of evicted keys.

    ``bytes + ghost_bytes`` never exceed ``max_bytes``. ``evicted`` counts live entries that had to
    go, ``expired`` those that eviction found past their time. ``policy`` is what was asked for,
    ``running`` what decides.
    """

    entries: int
    bytes: int
    evicted: int
    max_entries: int
    max_bytes: int
    policy: str
    running: str = ""
    expired: int = 0
    ghosts: int = 0
    ghost_bytes: int = 0


class TenantUsage(NamedTuple):
    """One tenant's share of L1, over all its namespaces."""

    entries: int
    bytes: int
    hits: int
    evicted: int


def by_tenant(partitions: Iterable[Partition]) -> dict[str, TenantUsage]:
    """Return the counts of each tenant that has one of ``partitions``."""
    found: dict[str, TenantUsage] = {}
    for partition in partitions:
        own = TenantUsage(len(partition.entries), partition.bytes, partition.fold(), partition.evicted)
        other = found.get(partition.tenant)
        found[partition.tenant] = own if other is None else TenantUsage(*map(sum, zip(own, other, strict=True)))
    return found
