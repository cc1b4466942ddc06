"""Many requests of many tenants at once, in one process and through a server: none reads another's."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
APPLICATION = """
import asyncio, json, os
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, WebSocket

from caching_core import carry_tenant, current_tenant
from caching_fastapi import TenantCache, TenantMiddleware, caching_lifespan, caching_router, manager_of, tenant_cache

TENANTS = [f"label-{number:02}" for number in range(int(os.environ["TENANTS"]))]
Cache = Annotated[TenantCache, Depends(tenant_cache)]
POOL = ThreadPoolExecutor(8)
AFTER = []

app = FastAPI(lifespan=caching_lifespan({
    "directory": os.environ["CACHING_DIRECTORY"], "tenants": TENANTS, "trusted_proxies": ["127.0.0.1"], "l1_max_size": 300,
    **json.loads(os.environ.get("SHARED", "{}")),
}))
app.add_middleware(TenantMiddleware, exempt=["/after", "/healthz", "/metrics"])
app.include_router(caching_router)


async def afterwards(tenant, cache):
    AFTER.append([tenant, current_tenant(), await cache.get("who")])

def afterwards_in_a_thread(tenant):
    AFTER.append([tenant, current_tenant(), tenant])

@app.get("/jobs/{number}")
async def work(number: int, cache: Cache, background: BackgroundTasks) -> dict:
    tenant, loop = current_tenant(), asyncio.get_running_loop()

    async def load():
        await asyncio.sleep(0)
        return current_tenant()

    who = await cache.get_or_set("who", load, ttl=60)
    await cache.set(f"number:{number % 7}", tenant, ttl=60, tags=["all"])
    await asyncio.sleep(0)
    seen = [
        cache.tenant,
        who,
        current_tenant(),
        await cache.get(f"number:{number % 7}", tenant),
        await asyncio.to_thread(current_tenant),
        await loop.run_in_executor(POOL, carry_tenant(current_tenant)),
        *(await asyncio.gather(*(asyncio.create_task(load()) for _ in range(3)))),
        *(await cache.get_many([f"number:{other}" for other in range(7)])).values(),
    ]
    if number % 10 == 0:
        await cache.invalidate_tags("all")
    bare = await loop.run_in_executor(POOL, current_tenant)
    background.add_task(afterwards, tenant, cache)
    background.add_task(afterwards_in_a_thread, tenant)
    return {"tenant": tenant, "seen": seen, "bare": bare}

@app.get("/blocking")
def blocking(cache: Cache) -> dict:
    return {"tenant": current_tenant(), "seen": [cache.tenant], "bare": None}

@app.get("/after")
async def after() -> list:
    return AFTER
"""


def foreign(asked_as: str, told: dict) -> list:
    """Return what a request saw that is not its tenant's."""
    return [seen for seen in (told["tenant"], *told["seen"]) if seen != asked_as] + [seen for seen in (told["bare"],) if seen is not None]


async def all_at_once(client: httpx.AsyncClient, tenants: list[str], requests: int) -> None:
    """Ask with ``requests`` requests at once, and expect each to see its own."""

    async def one(number: int) -> tuple[str, list]:
        tenant = tenants[number * 7 % len(tenants)]
        path = "/blocking" if number % 5 == 4 else f"/jobs/{number}"
        response = await client.get(path, headers={"x-tenant-id": tenant})
        assert response.status_code == 200, response.text
        return tenant, foreign(tenant, response.json())

    answers = await asyncio.gather(*(one(number) for number in range(requests)))
    assert len({tenant for tenant, _ in answers}) == len(tenants)
    assert [answer for answer in answers if answer[1]] == []


async def all_afterwards(client: httpx.AsyncClient, expected: int) -> None:
    """Expect what background tasks saw to be of the tenants of their requests."""
    told = (await client.get("/after")).json()
    assert len(told) == expected
    assert [each for each in told if len(set(each)) > 1] == []


@pytest.mark.parametrize("load", [("disk", 200, 20, 3), ("disk", 1000, 50, 1), ("redis", 200, 20, 3)], ids=str)
async def test_in_one_process(load, asked, tmp_path, monkeypatch, on_redis):
    tier, requests, tenants, rounds = load
    monkeypatch.setenv("SHARED", json.dumps(on_redis() if tier == "redis" else {}))
    monkeypatch.setenv("TENANTS", str(tenants))
    monkeypatch.setenv("CACHING_DIRECTORY", str(tmp_path / "cache"))
    names: dict = {"__name__": "application"}
    exec(compile(APPLICATION, "application", "exec"), names)
    pool: ThreadPoolExecutor = names["POOL"]
    with pool:
        async with asked(names["app"], peer="127.0.0.1") as client:
            for _ in range(rounds):
                await all_at_once(client, names["TENANTS"], requests)
            await all_afterwards(client, rounds * 2 * (requests - requests // 5))


@pytest.fixture
def server(tmp_path) -> Iterator[tuple[str, subprocess.Popen]]:
    """A uvicorn process that serves the application on a free port; ended by SIGTERM."""
    (tmp_path / "application.py").write_text(APPLICATION, encoding="utf-8")
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    path = os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "integrations/fastapi")])
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "application:app", "--fd", str(listening.fileno()), "--no-access-log", "--log-level", "warning"],
        pass_fds=[listening.fileno()],
        env={**os.environ, "PYTHONPATH": path, "TENANTS": "20", "CACHING_DIRECTORY": str(tmp_path / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", process
    finally:
        listening.close()
        if process.poll() is None:
            process.kill()
        process.communicate()


async def test_through_a_server(server):
    address, process = server
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(base_url=address, limits=limits, timeout=60, trust_env=False) as client:
        # The socket listens from the start: the first answer comes when the application is up.
        assert (await client.get("/healthz")).json()["status"] == "ok"
        await all_at_once(client, [f"label-{number:02}" for number in range(20)], 200)
        await all_afterwards(client, 2 * 160)
        for tenant, status in (("A", 400), ("unknown", 403), ("label-00", 200)):
            assert (await client.get("/blocking", headers={"x-tenant-id": tenant})).status_code == status
        assert (await client.get("/blocking")).status_code == 400
        text = (await client.get("/metrics")).text
        assert Counter(line.partition("{")[0] for line in text.splitlines())["cache_hits_total"] == 2 * 20
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode in {0, -signal.SIGTERM}, output
    assert "Traceback" not in output
