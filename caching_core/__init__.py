"""One cache for Python web applications that serve many tenants: memory and disk behind one API, sealed per tenant."""

from caching_core.config import CacheConfig
from caching_core.engine import Explanation, MultiLevelCache
from caching_core.insight import CacheStats
from caching_core.manager import CacheManager, TenantAwareCacheManager, TenantCache
from caching_core.sync import SyncCacheManager, SyncTenantCache
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
    "Invalidated",
    "MultiLevelCache",
    "SyncCacheManager",
    "SyncTenantCache",
    "TenantAwareCacheManager",
    "TenantCache",
    "carry_tenant",
    "current_tenant",
    "use_actor",
    "use_tenant",
]
