"""The manager that refuses a call without a tenant."""

from caching_core.manager._manager import CacheManager


class TenantAwareCacheManager(CacheManager):
    """A CacheManager in multi-tenant mode whatever the settings: no tenant, explicit or current, is TenantUnknown."""

    requires_tenant = True
