"""The cache as a Django ``CACHES`` backend, with middleware, system checks, a management command and admin pages."""
