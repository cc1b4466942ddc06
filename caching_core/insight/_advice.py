"""First recommendations, from how often reads hit and how full the levels are. They are told; nothing is applied."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from caching_core.config import CacheConfig
from caching_core.insight._stats import CacheStats
from caching_core.types import CompressionAlgorithm

_FULL: Final = 0.9
_WORTH_A_POINT: Final = 1.0
_LARGE_ENTRY: Final = 1024


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A setting that is worth a change: from ``current`` to ``proposed``.

    ``evidence`` are the figures that say so; those whose names begin with ``l2_`` are the store's, the others those of the
    process that counted them. ``gain_points`` is what the hit ratio of memory, or of all levels for a setting of the store, can
    rise by at most, in percentage points; None where the gain is of another kind. ``description`` says all of it in words.
    """

    kind: str
    setting: str
    current: str
    proposed: str
    description: str
    evidence: Mapping[str, float]
    gain_points: float | None = None
    auto_apply: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return a plain mapping, for JSON."""
        return {**asdict(self), "evidence": dict(self.evidence)}


def recommendations(stats: CacheStats, config: CacheConfig) -> tuple[Recommendation, ...]:
    """Return what the figures of a process and of its store speak for, most telling first.

    Below ``learning.min_data_points`` reads nothing is concluded from reads; what the store says of itself counts at once.
    """
    return (*_memory(stats, config), *_store(stats, config))


def _memory(stats: CacheStats, config: CacheConfig) -> Iterator[Recommendation]:
    reads = stats.hits + stats.misses
    if reads < config.learning.min_data_points:
        return
    from_store = 100 * stats.hits_l2 / reads
    seen = {"reads": reads, "hits_l1": stats.hits_l1, "hits_l2": stats.hits_l2, "l1_entries": stats.l1_entries}
    if not config.l1.enabled:
        if from_store >= _WORTH_A_POINT:
            yield Recommendation(
                "tier_to_add", "l1_enabled", "False", "True",
                f"{from_store:.1f} % of {reads} reads were answered by the store; memory would answer those that repeat",
                seen, gain_points=from_store,
            )  # fmt: skip
        return
    if stats.l1_evicted and from_store >= _WORTH_A_POINT:
        name, current = _bound(stats, config)
        yield Recommendation(
            "l1_size", name, str(current), str(current * 2),
            f"memory is full, gave up {stats.l1_evicted} live entries, and {from_store:.1f} % of {reads} reads went to the store",
            {**seen, "l1_evicted": stats.l1_evicted, "l1_bytes": stats.l1_bytes}, gain_points=from_store,
        )  # fmt: skip


def _bound(stats: CacheStats, config: CacheConfig) -> tuple[str, int]:
    """Return the bound that memory has met first."""
    in_bytes = stats.l1_bytes / max(config.l1.max_bytes, 1) > stats.l1_entries / max(config.l1.max_entries, 1)
    return ("l1_max_bytes", config.l1.max_bytes) if in_bytes else ("l1_max_size", config.l1.max_entries)


def _store(stats: CacheStats, config: CacheConfig) -> Iterator[Recommendation]:
    if stats.l2_entries is None:
        return
    stored, bound = stats.l2_stored_bytes or 0, config.l2.disk_max_bytes
    figures = {"l2_entries": stats.l2_entries, "l2_stored_bytes": stored, "l2_evicted": stats.l2_evicted}
    if config.l2.redis_url is None and stats.l2_evicted and stored >= _FULL * bound:
        reads = stats.hits + stats.misses
        missed = 100 * stats.misses / reads if reads >= config.learning.min_data_points else None
        yield Recommendation(
            "store_size", "disk_max_bytes", str(bound), str(bound * 2),
            f"the store takes {stored} of {bound} bytes and gave up {stats.l2_evicted} live entries",
            figures, gain_points=missed,
        )  # fmt: skip
    mean = (stats.l2_bytes or 0) / stats.l2_entries if stats.l2_entries else 0.0
    if config.compression is CompressionAlgorithm.NONE and mean >= _LARGE_ENTRY:
        yield Recommendation(
            "compression", "compression_algorithm", "none", "auto",
            f"an entry takes {mean:.0f} bytes in the store on average, and nothing is compressed",
            {**figures, "l2_mean_bytes": round(mean, 1)},
        )  # fmt: skip
