"""The cache as a Django ``CACHES`` backend, with middleware, system checks, a management command and admin pages."""

from caching_django._backend import TieredCache

__all__ = ["TieredCache"]
