"""The cache in FastAPI and Starlette: lifespan, pure ASGI middleware, the ``tenant_cache`` dependency, routes."""

from caching_core import TenantCache
from caching_core.tenancy import AttributeResolver, HeaderResolver, PathResolver, RequestView, Resolver, SubdomainResolver
from caching_fastapi._dependency import tenant_cache
from caching_fastapi._lifespan import caching_lifespan
from caching_fastapi._middleware import TenantMiddleware
from caching_fastapi._router import caching_router
from caching_fastapi._state import manager_of

__all__ = [
    "AttributeResolver",
    "HeaderResolver",
    "PathResolver",
    "RequestView",
    "Resolver",
    "SubdomainResolver",
    "TenantCache",
    "TenantMiddleware",
    "caching_lifespan",
    "caching_router",
    "manager_of",
    "tenant_cache",
]
