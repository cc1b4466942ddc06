"""The manager that refuses a call without a tenant."""

from caching_core.manager._manager import CacheManager


class TenantAwareCacheManager(CacheManager):
    """A CacheManager in multi-tenant mode whatever the settings: no tenant, explicit or current, is TenantUnknown.

    Made with ``tenant_isolation`` false, which knows one tenant only, it is ConfigInvalid.
    """

    requires_tenant = True
