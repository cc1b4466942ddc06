"""The application: ``uvicorn example_project.api.app:app``."""

import os

import django
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from caching_core.errors import TierUnavailable
from caching_fastapi import PathResolver, TenantMiddleware, caching_lifespan, caching_router
from example_project.configuration import cache_settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.web.settings")
django.setup()  # the models, which the routes below import

from example_project.api import embeddings, reads, sessions  # noqa: E402 - they need the models
from example_project.catalogue.queries import Missing  # noqa: E402 - as above

app = FastAPI(title="Music catalogue", lifespan=caching_lifespan(cache_settings()))
app.add_middleware(
    TenantMiddleware,
    resolvers=[PathResolver("/t/{tenant}/")],
    exempt={"/healthz", "/metrics", "/docs", "/openapi.json"},
)
app.include_router(caching_router)  # /healthz and /metrics
for part in (reads, sessions, embeddings):
    app.include_router(part.router, prefix="/t/{label}")


@app.exception_handler(Missing)
async def say_missing(_request: Request, missing: Missing) -> JSONResponse:
    """Answer 404 where the label has no such thing."""
    return JSONResponse({"detail": str(missing)}, status_code=404)


@app.exception_handler(TierUnavailable)
async def say_try_again(_request: Request, _problem: TierUnavailable) -> JSONResponse:
    """Answer 503 where something can only be done with the cache's store, which is away: reads go on without it."""
    return JSONResponse({"detail": "try again in a moment"}, status_code=503, headers={"Retry-After": "2"})
