"""What the cache of this process holds and has done, as plain figures."""

from dataclasses import asdict, dataclass
from typing import Any

from caching_core.engine import TTLFigures


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Figures of this process since its cache was opened; those named ``l2_`` are the store's, shared by all its processes.

    Sizes in bytes. ``misses`` are reads that found no good value in any level; ``joined`` callers that waited for another's
    load; ``refused`` stored entries that could not be opened, ``tampered`` those of them that failed authentication.
    ``adaptive_ttl``: what the model for lifetimes did, or in shadow mode would have done.
    """

    hits_l1: int = 0
    hits_l2: int = 0
    misses: int = 0
    loads: int = 0
    load_errors: int = 0
    joined: int = 0
    stale_served: int = 0
    sets: int = 0
    sets_skipped: int = 0
    fills_refused: int = 0
    deletes: int = 0
    invalidations: int = 0
    refused: int = 0
    tampered: int = 0
    unavailable: int = 0
    l1_entries: int = 0
    l1_bytes: int = 0
    l1_evicted: int = 0
    l1_max_entries: int = 0
    l1_max_bytes: int = 0
    l1_policy: str | None = None
    l2_entries: int | None = None
    l2_bytes: int | None = None
    l2_stored_bytes: int | None = None
    l2_evicted: int = 0
    l2_expired: int = 0
    tenants: int = 0
    adaptive_ttl: TTLFigures | None = None

    @property
    def hits(self) -> int:
        """Return the reads that found a good value in any level."""
        return self.hits_l1 + self.hits_l2

    @property
    def hit_ratio(self) -> float:
        """Return hits per read in percent, 0 to 100; 0 before the first read."""
        reads = self.hits + self.misses
        return 100.0 * self.hits / reads if reads else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return a plain mapping, for JSON."""
        return {**asdict(self), "hits": self.hits, "hit_ratio": round(self.hit_ratio, 3)}
