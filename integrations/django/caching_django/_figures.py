"""The figures of the page Overview: which there are, how they are written, and what each of them means."""

from dataclasses import dataclass
from typing import Final

from caching_core import CacheStats


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure as the page shows it."""

    name: str
    label: str
    value: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Group:
    """Figures that belong together."""

    title: str
    figures: tuple[Figure, ...]


_COUNT, _BYTES, _PERCENT, _TEXT = "count", "bytes", "percent", "text"
_GROUPS: Final = (
    (
        "Reads of this process",
        (
            ("hit_ratio", "Hit ratio", _PERCENT, "Reads that found a good value in any level, since this process started."),
            ("hits_l1", "Hits in memory", _COUNT, "Answered from this process's memory, without the store."),
            ("hits_l2", "Hits in the store", _COUNT, "Answered by the store that all processes share; the next read finds them in memory."),
            ("misses", "Misses", _COUNT, "Reads that found no good value in any level."),
            ("loads", "Loads", _COUNT, "Times that get_or_set called the function that makes the value."),
            ("joined", "Waited along", _COUNT, "Callers that were given the value that another caller was loading."),
        ),
    ),
    (
        "Memory of this process",
        (
            ("l1_entries", "Entries", _COUNT, "Entries held in memory now."),
            ("l1_bytes", "Bytes", _BYTES, "What they take, as estimated per entry."),
            ("l1_max_entries", "Entries at most", _COUNT, "The bound (L1_MAX_SIZE)."),
            (
                "l1_evicted",
                "Evicted",
                _COUNT,
                "Entries that gave way to others. Many of them beside many hits in the store: raise the bound.",
            ),
            ("l1_policy", "Policy", _TEXT, "Decides which entry gives way."),
        ),
    ),
    (
        "Store, shared by all processes",
        (
            ("l2_entries", "Entries", _COUNT, "Entries that the store holds now."),
            ("l2_bytes", "Bytes of entries", _BYTES, "What the sealed entries take; an estimate above 16 MiB."),
            ("l2_stored_bytes", "Bytes on disk", _BYTES, "What the store's files take."),
            ("l2_expired", "Expired", _COUNT, "Entries removed because their lifetime ended."),
            ("l2_evicted", "Evicted", _COUNT, "Entries removed to make room (DISK_MAX_BYTES)."),
        ),
    ),
    (
        "Writes and faults of this process",
        (
            ("sets", "Writes", _COUNT, "Values stored."),
            ("sets_skipped", "Writes skipped", _COUNT, "Not stored, because the store was away or full."),
            ("invalidations", "Invalidations", _COUNT, "Tags and namespaces invalidated."),
            ("load_errors", "Loads that failed", _COUNT, "The function that makes the value raised."),
            ("unavailable", "Store away", _COUNT, "Calls that went on without the store."),
            ("refused", "Entries refused", _COUNT, "Stored entries that could not be opened here: another key, another release."),
            ("tampered", "Entries tampered with", _COUNT, "Of these, entries whose seal was broken. More than none: read the page Audit."),
        ),
    ),
)


def groups_of(stats: CacheStats) -> tuple[Group, ...]:
    """Return the figures as the page shows them."""
    values = stats.as_dict()
    return tuple(
        Group(title, tuple(Figure(name, label, shown(values[name], kind), meaning) for name, label, kind, meaning in rows))
        for title, rows in _GROUPS
    )


def shown(value: float | str | None, kind: str) -> str:
    """Return a figure as a person reads it; a dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, str) or kind == _TEXT:
        return str(value)
    if kind == _PERCENT:
        return f"{value:.1f} %"
    return _size(value) if kind == _BYTES else f"{value:,.0f}"


def _size(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} GiB"
