"""The figures of one opened cache, and its health."""

from caching_core.config import CacheConfig
from caching_core.engine import Counts, EngineState
from caching_core.errors import TierUnavailable
from caching_core.insight import CacheStats, Condition, Health, TierHealth, probe
from caching_core.tiers import Store, StoreUsage
from caching_core.types import CacheLevel


async def stats_of(state: EngineState, store: Store | None) -> CacheStats:
    """Return the figures of a process by its engine's state, and those of the store as ``store`` sees it."""
    total = Counts()
    for scope in list(state.scopes.values()):
        total.add(scope.counts)
    figures: dict[str, object] = {name: getattr(total, name) for name in Counts.__dataclass_fields__}
    if state.memory is not None:
        usage = state.memory.usage()
        figures |= {
            "hits_l1": state.memory.hits(), "l1_entries": usage.entries, "l1_bytes": usage.bytes, "l1_evicted": usage.evicted,
            "l1_max_entries": usage.max_entries, "l1_max_bytes": usage.max_bytes, "l1_policy": state.memory.running,
        }  # fmt: skip
    held = await usage_of(store)
    if held is not None:
        figures |= {
            "l2_entries": held.entries, "l2_bytes": held.frame_bytes, "l2_stored_bytes": held.stored_bytes,
            "l2_evicted": held.evicted, "l2_expired": held.expired,
        }  # fmt: skip
    if state.ttl_model is not None:
        figures["adaptive_ttl"] = state.ttl_model.figures()
    figures["tenants"] = len({tenant for tenant, _ in state.scopes})
    return CacheStats(**figures)  # type: ignore[arg-type]  # the names are the fields', checked by the constructor


async def usage_of(store: Store | None) -> StoreUsage | None:
    """Return what a store holds; None if there is none, or it does not say."""
    try:
        return None if store is None else await store.usage()
    except TierUnavailable:
        return None


async def health_of(config: CacheConfig, store: Store | None, *, tier: str, has_memory: bool, is_lost: bool, reason: str) -> Health:
    """Return whether each level that the configuration asks for answers; the store is asked, unless this cache is lost."""
    tiers: list[TierHealth] = []
    if has_memory:
        tiers.append(TierHealth(CacheLevel.L1, "memory", Condition.UP))
    if is_lost:  # whatever the store answers: nothing of it is used
        tiers.append(TierHealth(CacheLevel.L2, tier, Condition.DOWN, reason=reason))
    elif store is not None:
        tiers.append(await probe(store, level=CacheLevel.L2, tier=tier))
    elif config.cache_levels > 1 and config.l2.enabled and not config.disabled:
        tiers.append(TierHealth(CacheLevel.L2, tier, Condition.ABSENT, reason=reason))
    return Health(tuple(tiers))
