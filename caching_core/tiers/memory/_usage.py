"""What the memory tier tells about itself."""

from dataclasses import dataclass
from typing import NamedTuple


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
