"""The routes that operators ask, and what they count."""

import pytest
from fastapi import Depends, FastAPI, HTTPException
from prometheus_client.parser import text_string_to_metric_families

from caching_core.errors import TierUnavailable
from caching_core.tiers.disk import DiskStore
from caching_fastapi import TenantMiddleware, caching_lifespan, caching_router


@pytest.fixture
def observed(app):
    app.include_router(caching_router)
    return app


async def test_health_needs_no_tenant_and_names_each_tier(asked, observed):
    async with asked(observed, peer="192.0.2.1") as client:
        response = await client.get("/healthz")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    told = response.json()
    assert told["status"] == "ok"
    assert [(tier["level"], tier["tier"], tier["status"]) for tier in told["tiers"]] == [("l1", "memory", "up"), ("l2", "disk", "up")]


async def test_a_tier_that_is_down_is_503_while_the_application_serves(asked, observed, monkeypatch):
    async with asked(observed) as client:
        headers = {"x-tenant-id": "a"}
        await client.put("/keys/k?value=v", headers=headers)
        await client.get("/keys/k", headers=headers)

        async def away(store, name):
            raise TierUnavailable("/some/path is away")

        monkeypatch.setattr(DiskStore, "get", away)
        response = await client.get("/healthz")
        assert response.status_code == 503
        assert response.json()["status"] == "degraded"
        assert [tier["status"] for tier in response.json()["tiers"]] == ["up", "down"]
        assert "/some/path" not in response.text
        assert (await client.get("/keys/k", headers=headers)).json()["value"] == "v"
        monkeypatch.undo()
        assert (await client.get("/healthz")).status_code == 200


async def test_metrics_count_what_requests_did(asked, observed):
    async with asked(observed) as client:
        for tenant, reads in (("a", 3), ("b", 5)):
            headers = {"x-tenant-id": tenant}
            await client.put("/keys/k?value=v", headers=headers)
            for _ in range(reads):
                await client.get("/keys/k", headers=headers)
            await client.get("/keys/missing", headers=headers)
        response = await client.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = {
        (sample.name, *(sample.labels.get(name) for name in ("level", "tenant_id", "operation"))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
        if sample.labels.get("status", "success") == "success"
    }
    for tenant, reads in (("a", 3), ("b", 5)):
        assert found["cache_hits_total", "l1", tenant, "get"] == reads - 1
        assert found["cache_hits_total", "l2", tenant, "get"] == 1
        assert found["cache_misses_total", "l2", tenant, "get"] == 1
        assert found["cache_operations_total", "l2", tenant, "set"] == 1


async def test_the_specification_s_names(asked, settings):
    app = FastAPI(lifespan=caching_lifespan({**settings, "metrics_namespace": "spotify_ai"}))
    app.include_router(caching_router, prefix="/ops")
    async with asked(app) as client:
        text = (await client.get("/ops/metrics")).text
    assert "# TYPE spotify_ai_cache_hits_total counter" in text


async def test_the_routes_can_be_guarded(asked, settings):
    async def forbidden():
        raise HTTPException(403)

    app = FastAPI(lifespan=caching_lifespan(settings))
    app.include_router(caching_router, dependencies=[Depends(forbidden)])
    async with asked(app) as client:
        assert [(await client.get(path)).status_code for path in ("/healthz", "/metrics")] == [403, 403]


async def test_the_routes_are_described(asked, observed):
    async with asked(observed) as client:
        paths = (await client.get("/openapi.json", headers={"x-tenant-id": "a"})).json()["paths"]
    assert paths["/healthz"]["get"]["responses"].keys() == {"200", "503"}
    assert "text/plain" in paths["/metrics"]["get"]["responses"]["200"]["content"]


async def test_routes_elsewhere_are_exempt_where_that_is_said(asked, settings):
    app = FastAPI(lifespan=caching_lifespan(settings))
    app.include_router(caching_router, prefix="/ops")
    app.add_middleware(TenantMiddleware, exempt=["/ops/healthz"])
    async with asked(app) as client:
        assert (await client.get("/ops/healthz")).status_code == 200
        assert (await client.get("/ops/metrics")).status_code == 400
