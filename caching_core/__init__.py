"""One cache for Python web applications that serve many tenants: memory and disk behind one API, sealed per tenant.

The names of this door are imported on first use, so that a worker that imports the package and uses a part of it pays for
that part only.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caching_core.config import CacheConfig
    from caching_core.engine import Explanation, MultiLevelCache
    from caching_core.insight import CacheStats
    from caching_core.manager import CacheManager, TenantAwareCacheManager, TenantCache
    from caching_core.monitoring import HealthChecker
    from caching_core.sync import SyncCacheManager, SyncTenantAwareCacheManager, SyncTenantCache
    from caching_core.tenancy import Actor, carry_tenant, current_tenant, use_actor, use_tenant
    from caching_core.types import MISSING, CacheLevel, CompressionAlgorithm, Invalidated

__all__ = [
    "MISSING",
    "Actor",
    "CacheConfig",
    "CacheLevel",
    "CacheManager",
    "CacheStats",
    "CompressionAlgorithm",
    "Explanation",
    "HealthChecker",
    "Invalidated",
    "MultiLevelCache",
    "SyncCacheManager",
    "SyncTenantAwareCacheManager",
    "SyncTenantCache",
    "TenantAwareCacheManager",
    "TenantCache",
    "carry_tenant",
    "current_tenant",
    "use_actor",
    "use_tenant",
]

_HOMES = {
    "config": ("CacheConfig",),
    "engine": ("Explanation", "MultiLevelCache"),
    "insight": ("CacheStats",),
    "manager": ("CacheManager", "TenantAwareCacheManager", "TenantCache"),
    "monitoring": ("HealthChecker",),
    "sync": ("SyncCacheManager", "SyncTenantAwareCacheManager", "SyncTenantCache"),
    "tenancy": ("Actor", "carry_tenant", "current_tenant", "use_actor", "use_tenant"),
    "types": ("MISSING", "CacheLevel", "CompressionAlgorithm", "Invalidated"),
}


def __getattr__(name: str) -> object:
    """Import a public name from its home."""
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"{__name__}.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
