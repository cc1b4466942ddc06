"""The public managers and handles for event-loop callers, and what the blocking ones share with them."""

from caching_core.manager._aware import TenantAwareCacheManager
from caching_core.manager._closed import close_handle
from caching_core.manager._handle import TenantCache
from caching_core.manager._manager import CacheManager
from caching_core.manager._opened import OpenedManager

__all__ = ["CacheManager", "OpenedManager", "TenantAwareCacheManager", "TenantCache", "close_handle"]
