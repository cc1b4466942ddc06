"""The cache opens before the application serves, closes after it, and is missed in words that help."""

from base64 import b64encode
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI, Request

from caching_core import CacheManager
from caching_core.errors import CacheError, ConfigInvalid
from caching_fastapi import caching_lifespan, manager_of, tenant_cache


async def test_the_cache_is_open_while_the_application_serves(served, settings):
    app = FastAPI(lifespan=caching_lifespan(settings))
    kept = []

    @app.get("/")
    async def root(request: Request) -> str:
        kept.append(manager_of(request.scope))
        await kept[0].set("k", 1, tenant_id="a", ttl=60)
        return repr(kept[0])

    async with served(app) as running, httpx.AsyncClient(transport=httpx.ASGITransport(running), base_url="http://t") as client:
        assert "open" in (await client.get("/")).json()
    with pytest.raises(CacheError, match="closed"):
        await kept[0].get("k", tenant_id="a")


async def test_an_application_can_be_served_again(asked, app):
    for turn in range(3):
        async with asked(app) as client:
            told = (await client.get("/keys/k", headers={"x-tenant-id": "a"})).json()
            assert told["value"] == (None if turn == 0 else "v")
            await client.put("/keys/k?value=v", headers={"x-tenant-id": "a"})


async def test_a_lifespan_of_the_application_runs_inside(served, settings):
    order = []

    @asynccontextmanager
    async def inner(app):
        order.append("start")
        yield {"own": app.title}
        order.append("stop")

    app = FastAPI(title="mine", lifespan=caching_lifespan(settings, inner=inner))

    @app.get("/")
    async def root(request: Request) -> list[str]:
        return [request.state.own, type(request.state.caching).__name__]

    async with served(app) as running, httpx.AsyncClient(transport=httpx.ASGITransport(running), base_url="http://t") as client:
        assert (await client.get("/")).json() == ["mine", "CacheManager"]
        assert order == ["start"]
    assert order == ["start", "stop"]


async def test_a_lifespan_that_yields_nothing_may_be_inside(asked, settings, with_routes):
    @asynccontextmanager
    async def inner(app):
        yield

    app = with_routes(FastAPI(lifespan=caching_lifespan(settings | {"tenants": None}, inner=inner)))
    async with asked(app) as client:
        assert (await client.get("/keys/k")).json() == {"tenant": "main", "value": None}


async def test_an_inner_lifespan_that_fails_leaves_no_cache_open(served, settings, monkeypatch):
    closed = []
    close = CacheManager.close

    async def noted(manager):
        await close(manager)
        closed.append(manager)

    monkeypatch.setattr(CacheManager, "close", noted)

    @asynccontextmanager
    async def inner(app):
        raise RuntimeError("the database is away")
        yield

    with pytest.raises(Exception, match="the database is away"):
        async with served(FastAPI(lifespan=caching_lifespan(settings, inner=inner))):
            pass
    assert len(closed) == 1


async def test_a_cache_that_cannot_be_opened_fails_the_start(served, settings):
    keys = [b64encode(bytes([number]) * 32).decode() for number in (1, 2)]
    async with served(FastAPI(lifespan=caching_lifespan({**settings, "encryption_key": keys[0]}))):
        pass
    with pytest.raises(Exception, match="KeyUnavailable") as caught:
        async with served(FastAPI(lifespan=caching_lifespan({**settings, "encryption_key": keys[1]}))):
            pass
    assert keys[1] not in str(caught.value)


def test_a_wrong_setting_is_told_where_it_is_given():
    with pytest.raises(ConfigInvalid, match="l1_max_size"):
        caching_lifespan({"l1_max_sise": 5})


async def test_without_the_lifespan_the_error_says_what_to_do(client_of, with_routes):
    async with client_of(with_routes(FastAPI())) as client:
        with pytest.raises(CacheError, match=r"lifespan=caching_lifespan\(config\)"):
            await client.get("/keys/k")


async def test_a_lifespan_that_did_not_run_is_told_alike(client_of, app):
    async with client_of(app) as client:
        with pytest.raises(CacheError, match="did not run"):
            await client.get("/keys/k", headers={"x-tenant-id": "a"})


async def test_the_dependency_can_be_replaced(client_of, with_routes):
    class Fake:
        tenant = "fake"

        async def get(self, key):
            return f"value of {key}"

    app = with_routes(FastAPI())
    app.dependency_overrides[tenant_cache] = Fake
    async with client_of(app) as client:
        assert (await client.get("/keys/k")).json() == {"tenant": "fake", "value": "value of k"}
