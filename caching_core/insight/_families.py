"""The metric families: names without prefix, kinds, labels, and what each one says."""

import enum
from dataclasses import dataclass
from typing import Final


class Kind(enum.StrEnum):
    """What a family's samples are."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...]


_TENANT: Final = ("level", "tenant_id")

HITS: Final = Family("cache_hits_total", Kind.COUNTER, "Reads that found a good value at this level.", (*_TENANT, "operation"))
MISSES: Final = Family("cache_misses_total", Kind.COUNTER, "Reads that found none at this level.", (*_TENANT, "operation"))
OPERATIONS: Final = Family(
    "cache_operations_total",
    Kind.COUNTER,
    "Changes at the level that decides: keys set and deleted, tags and namespaces invalidated.",
    (*_TENANT, "operation", "status"),
)
DURATION: Final = Family(
    "cache_operation_duration_seconds",
    Kind.HISTOGRAM,
    "How long calls took that a hit in memory did not answer; one in 64 is timed.",
    ("level", "operation"),
)
ENTRY_SIZE: Final = Family("cache_entry_size_bytes", Kind.GAUGE, "Mean size of the entries held at this level.", ("level",))
MEMORY_USAGE: Final = Family("cache_memory_usage_bytes", Kind.GAUGE, "Bytes that entries take in this process's memory.", _TENANT)
ENTRIES: Final = Family("cache_entries_count", Kind.GAUGE, "Entries in this process's memory.", _TENANT)
HIT_RATIO: Final = Family("cache_hit_ratio_percent", Kind.GAUGE, "Hits per 100 reads at this level since the cache was opened.", _TENANT)
EVICTIONS: Final = Family("cache_evictions_total", Kind.COUNTER, "Live entries that had to give way in this process's memory.", _TENANT)
LOADS: Final = Family("cache_loads_total", Kind.COUNTER, "Calls of loaders.", ("tenant_id", "status"))
JOINED: Final = Family("cache_loads_joined_total", Kind.COUNTER, "Callers that waited for another's load.", ("tenant_id",))
UNAVAILABLE: Final = Family("cache_unavailable_total", Kind.COUNTER, "Calls that this level did not answer.", _TENANT)
REFUSED: Final = Family(
    "cache_refused_total",
    Kind.COUNTER,
    "Stored entries that were not accepted; tampered: they failed authentication.",
    (*_TENANT, "reason"),
)
STORE_ENTRIES: Final = Family("cache_store_entries", Kind.GAUGE, "Entries in the store; its processes all say the same.", ("level",))
STORE_BYTES: Final = Family("cache_store_bytes", Kind.GAUGE, "Bytes that the store takes; its processes all say the same.", ("level",))
STORE_EVICTIONS: Final = Family(
    "cache_store_evictions_total",
    Kind.COUNTER,
    "Live entries that had to give way in the store; its processes all say the same.",
    ("level",),
)

FAMILIES: Final = (
    HITS, MISSES, OPERATIONS, DURATION, ENTRY_SIZE, MEMORY_USAGE, ENTRIES, HIT_RATIO, EVICTIONS, LOADS, JOINED, UNAVAILABLE, REFUSED,
    STORE_ENTRIES, STORE_BYTES, STORE_EVICTIONS,
)  # fmt: skip
