"""The dependency that gives a route the cache of its tenant."""

from fastapi.requests import HTTPConnection

from caching_core import TenantCache
from caching_fastapi._state import manager_of


async def tenant_cache(connection: HTTPConnection) -> TenantCache:
    """Return the cache of the request's tenant, for HTTP and WebSocket routes.

    Without tenants it is that of ``main``. Raises CacheError without a cache, TenantUnknown without a tenant where one is
    needed: TenantMiddleware is not in front of this route, or passes it by.
    """
    return manager_of(connection.scope).tenant()
