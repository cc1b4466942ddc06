"""The cache as a Django ``CACHES`` backend, with middleware, system checks, a management command and admin pages."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caching_django._backend import TieredCache
    from caching_django._middleware import TenantMiddleware

__all__ = ["TenantMiddleware", "TieredCache"]


def __getattr__(name: str) -> object:
    """Import a public name from its home: an application's package is imported before the settings can be used."""
    if name == "TieredCache":
        from caching_django._backend import TieredCache

        return TieredCache
    if name == "TenantMiddleware":
        from caching_django._middleware import TenantMiddleware

        return TenantMiddleware
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
