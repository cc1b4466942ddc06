"""The public managers and handle for blocking callers."""

from caching_core.sync._aware import SyncTenantAwareCacheManager
from caching_core.sync._handle import SyncTenantCache
from caching_core.sync._manager import SyncCacheManager

__all__ = ["SyncCacheManager", "SyncTenantAwareCacheManager", "SyncTenantCache"]
