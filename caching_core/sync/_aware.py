"""The blocking manager that refuses a call without a tenant."""

from caching_core.sync._manager import SyncCacheManager


class SyncTenantAwareCacheManager(SyncCacheManager):
    """A SyncCacheManager in multi-tenant mode whatever the settings: no tenant, explicit or current, is TenantUnknown.

    Made with ``tenant_isolation`` false, which knows one tenant only, it is ConfigInvalid.
    """

    requires_tenant = True
