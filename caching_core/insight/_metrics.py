"""The metrics of a process, put together at a scrape from the plain integers that the engine counts.

Nothing is looked up or registered while the cache works: there are no metric objects between two scrapes.
"""

from collections.abc import Iterable
from typing import Final

from caching_core.engine import Counts, EngineState, Timing
from caching_core.insight import _families as families
from caching_core.insight._families import Family
from caching_core.insight._tenant_labels import MOST_TENANTS, TenantLabels
from caching_core.tiers import StoreUsage
from caching_core.tiers.memory import TenantUsage
from caching_core.types import CacheLevel

METRICS_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_Row = tuple[tuple[str, ...], float | Timing]
_NOTHING: Final = TenantUsage(0, 0, 0, 0)


class Metrics:
    """What a scrape of this process shows. Thread-safe; figures of several tenants are not of one instant."""

    __slots__ = ("_labels", "_prefix", "_state", "_store_level")

    def __init__(self, state: EngineState, *, store_level: CacheLevel | None, prefix: str = "", most_tenants: int = MOST_TENANTS) -> None:
        """``store_level`` is the level of the shared store, None where memory is all there is."""
        self._state = state
        self._store_level = store_level
        self._prefix = prefix
        self._labels = TenantLabels(most_tenants)

    def text(self, held: StoreUsage | None) -> str:
        """Return a scrape in the Prometheus text format; ``held`` is what the store holds, None where it does not say."""
        from caching_core.insight._exposition import exposition

        samples: dict[Family, list[_Row]] = {family: [] for family in families.FAMILIES}
        per_label = self._per_label()
        for label, (counts, usage) in per_label.items():
            self._tenant(samples, label, counts, usage)
        self._timings(samples)
        self._sizes(samples, [usage for _, usage in per_label.values()], held)
        return exposition(samples, prefix=self._prefix)

    def _per_label(self) -> dict[str, tuple[Counts, TenantUsage]]:
        """Return counts and share of memory of each tenant that has a label of its own, and of the others together."""
        state = self._state
        counted: dict[str, Counts] = {}
        for scope in list(state.scopes.values()):
            counted.setdefault(scope.tenant, Counts()).add(scope.counts)
        shares = {} if state.memory is None else state.memory.usage_by_tenant()
        activity = {tenant: _activity(counts, shares.get(tenant, _NOTHING)) for tenant, counts in counted.items()}
        found: dict[str, tuple[Counts, TenantUsage]] = {}
        for tenant, label in self._labels.settle(activity).items():
            counts, usage = found.get(label, (Counts(), _NOTHING))
            counts.add(counted[tenant])
            found[label] = counts, TenantUsage(*map(sum, zip(usage, shares.get(tenant, _NOTHING), strict=True)))
        return found

    def _tenant(self, samples: dict[Family, list[_Row]], label: str, counts: Counts, usage: TenantUsage) -> None:
        if self._state.memory is not None:
            level = CacheLevel.L1
            _reads(samples, level, label, hits=usage.hits, misses=counts.hits_l2 + counts.misses)
            samples[families.MEMORY_USAGE].append(((level, label), usage.bytes))
            samples[families.ENTRIES].append(((level, label), usage.entries))
            samples[families.EVICTIONS].append(((level, label), usage.evicted))
        if self._store_level is not None:
            level = self._store_level
            _reads(samples, level, label, hits=counts.hits_l2, misses=counts.misses)
            samples[families.UNAVAILABLE].append(((level, label), counts.unavailable))
            samples[families.REFUSED] += [
                ((level, label, "tampered"), counts.tampered),
                ((level, label, "other"), max(counts.refused - counts.tampered, 0)),
            ]
        level = self._deciding
        samples[families.OPERATIONS] += [
            ((level, label, "set", "success"), max(counts.sets - counts.sets_skipped, 0)),
            ((level, label, "set", "skipped"), counts.sets_skipped),
            ((level, label, "delete", "success"), counts.deletes),
            ((level, label, "invalidate", "success"), counts.invalidations),
        ]
        samples[families.LOADS] += [
            ((label, "success"), max(counts.loads - counts.load_errors, 0)),
            ((label, "error"), counts.load_errors),
        ]
        samples[families.JOINED].append(((label,), counts.joined))

    @property
    def _deciding(self) -> CacheLevel:
        return self._store_level or CacheLevel.L1

    def _timings(self, samples: dict[Family, list[_Row]]) -> None:
        timings = self._state.timings
        for operation in timings.__slots__:
            samples[families.DURATION].append(((self._deciding, operation), getattr(timings, operation)))

    def _sizes(self, samples: dict[Family, list[_Row]], usages: Iterable[TenantUsage], held: StoreUsage | None) -> None:
        entries = bytes_ = 0
        for usage in usages:
            entries += usage.entries
            bytes_ += usage.bytes
        if entries:
            samples[families.ENTRY_SIZE].append(((CacheLevel.L1,), bytes_ / entries))
        level = self._store_level
        if level is None or held is None:
            return
        if held.entries:
            samples[families.ENTRY_SIZE].append(((level,), held.frame_bytes / held.entries))
        samples[families.STORE_ENTRIES].append(((level,), held.entries))
        samples[families.STORE_BYTES].append(((level,), held.stored_bytes))
        samples[families.STORE_EVICTIONS].append(((level,), held.evicted))


def _activity(counts: Counts, usage: TenantUsage) -> int:
    return usage.hits + counts.hits_l2 + counts.misses + counts.sets


def _reads(samples: dict[Family, list[_Row]], level: CacheLevel, label: str, *, hits: int, misses: int) -> None:
    samples[families.HITS].append(((level, label, "get"), hits))
    samples[families.MISSES].append(((level, label, "get"), misses))
    if hits + misses:
        samples[families.HIT_RATIO].append(((level, label), 100 * hits / (hits + misses)))
