"""A hit in memory is answered where it is asked: no thread, no executor, no suspension."""

import asyncio
import concurrent.futures
import threading

import anyio.to_thread
import pytest

from caching_core import CacheManager
from caching_fastapi import caching_router


@pytest.fixture
def hops(monkeypatch):
    """Count what leaves the loop's thread."""
    seen = []

    def noted(owner, name):
        real = getattr(owner, name)

        def call(*args, **kwargs):
            seen.append(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    noted(asyncio.base_events.BaseEventLoop, "run_in_executor")
    noted(concurrent.futures.ThreadPoolExecutor, "submit")
    noted(anyio.to_thread, "run_sync")
    noted(threading.Thread, "start")
    return seen


@pytest.mark.parametrize("tier", ["disk", "redis"])
async def test_a_hit_ends_in_one_step(tier, settings, on_redis, hops):
    async with CacheManager(settings | (on_redis() if tier == "redis" else {})) as manager:
        cache = manager.tenant("a")
        await cache.set("k", {"n": [1, 2]}, ttl=60)
        await cache.get("k")
        await cache.get("k")
        hops.clear()
        for verb in (cache.get("k"), cache.get_or_set("k", lambda: None), cache.get_many(["k"])):
            with pytest.raises(StopIteration) as done:
                verb.send(None)
            assert done.value.value in ({"n": [1, 2]}, {"k": {"n": [1, 2]}})
        assert hops == []
        assert (await manager.stats()).hits_l1 == 4


async def test_through_a_route(asked, app, hops):
    app.include_router(caching_router)
    headers = {"x-tenant-id": "a"}
    async with asked(app) as client:
        await client.put("/keys/k?value=v", headers=headers)
        await client.get("/keys/k", headers=headers)
        hops.clear()
        for _ in range(50):
            assert (await client.get("/keys/k", headers=headers)).json()["value"] == "v"
        assert hops == []
        # The probe sees one: a route that is a plain function runs in a thread.
        await client.get("/metrics")
        assert hops
