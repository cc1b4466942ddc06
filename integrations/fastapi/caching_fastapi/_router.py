"""The routes that operators ask: health and metrics."""

from typing import Any, Final, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from caching_core.insight import METRICS_CONTENT_TYPE
from caching_fastapi._state import manager_of

_EXAMPLE: Final[dict[str, Any]] = {  # Any: JSON
    "status": "ok",
    "tiers": [
        {"level": "l1", "tier": "memory", "status": "up", "milliseconds": 0.0},
        {"level": "l2", "tier": "disk", "status": "up", "milliseconds": 0.12},
    ],
}


class TierReport(BaseModel):
    """One level: whether it answers, and how long that took. Absent: asked for, and not to be had on this host."""

    level: str
    tier: str
    status: Literal["up", "down", "absent"]
    milliseconds: float


class HealthReport(BaseModel):
    """The levels of the cache. Degraded: it goes on with what is left."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    status: Literal["ok", "degraded"]
    tiers: list[TierReport]


caching_router = APIRouter(tags=["caching"])


@caching_router.get("/healthz", responses={503: {"model": HealthReport, "description": "A level is down."}})
async def healthz(request: Request, response: Response) -> HealthReport:
    """Ask each level of the cache: 200, or 503 if one is down. For monitoring: the application serves without its cache."""
    health = await manager_of(request.scope).health()
    response.status_code = 200 if health.is_healthy else 503
    response.headers["Cache-Control"] = "no-store"
    return HealthReport.model_validate(health.as_dict())


@caching_router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}, "description": "A scrape."}})
def metrics(request: Request) -> Response:  # a plain function: it reads the store, in a thread
    """Return the metrics of this process in the Prometheus text format."""
    return Response(manager_of(request.scope).metrics_text(), headers={"Content-Type": METRICS_CONTENT_TYPE, "Cache-Control": "no-store"})
