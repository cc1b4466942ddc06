"""The cache in FastAPI and Starlette: lifespan, pure ASGI middleware, the ``tenant_cache`` dependency, routes."""
