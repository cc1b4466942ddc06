"""The figures of one opened cache."""

from caching_core.engine import Counts, EngineState
from caching_core.errors import TierUnavailable
from caching_core.insight import CacheStats
from caching_core.tiers import Store, StoreUsage


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
    figures["tenants"] = len({tenant for tenant, _ in state.scopes})
    return CacheStats(**figures)  # type: ignore[arg-type]  # the names are the fields', checked by the constructor


async def usage_of(store: Store | None) -> StoreUsage | None:
    """Return what a store holds; None if there is none, or it does not say."""
    try:
        return None if store is None else await store.usage()
    except TierUnavailable:
        return None
