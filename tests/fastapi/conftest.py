"""Applications that are served as a server serves them: lifespan first, its state in every scope, then requests."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse

from caching_fastapi import TenantCache, TenantMiddleware, caching_lifespan, tenant_cache

Cache = Annotated[TenantCache, Depends(tenant_cache)]
PROXY = "10.1.2.3"


class StartupFailed(Exception):
    """The application said that it cannot start, or cannot end."""


@asynccontextmanager
async def _served(app: Any) -> AsyncIterator[Any]:
    """Run the lifespan of an application; gives the application with its state in each scope."""
    told: asyncio.Queue = asyncio.Queue()
    said: asyncio.Queue = asyncio.Queue()
    state: dict[str, Any] = {}
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}
    running = asyncio.create_task(app(scope, told.get, said.put))

    async def step(name: str) -> None:
        await told.put({"type": f"lifespan.{name}"})
        answer = await said.get()
        if answer["type"] != f"lifespan.{name}.complete":
            await asyncio.gather(running, return_exceptions=True)
            raise StartupFailed(answer.get("message", ""))

    async def with_state(scope, receive, send):
        await app({**scope, "state": dict(state)}, receive, send)

    await step("startup")
    try:
        yield with_state
    finally:
        await step("shutdown")
        await running


@asynccontextmanager
async def _client_of(app: Any, *, peer: str = PROXY, base_url: str = "http://testserver") -> AsyncIterator[httpx.AsyncClient]:
    """Ask an application that is served, or needs no lifespan."""
    transport = httpx.ASGITransport(app=app, client=(peer, 4000))
    async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
        yield client


@asynccontextmanager
async def _asked(app: Any, **options: str) -> AsyncIterator[httpx.AsyncClient]:
    """Serve an application and ask it."""
    async with _served(app) as running, _client_of(running, **options) as client:
        yield client


async def _websocket(app: Any, path: str, *, headers: tuple = (), extensions: dict | None = None, send: tuple = ()) -> list[dict]:
    """Open a WebSocket, send some texts, and return all that the application sent."""
    incoming = [{"type": "websocket.connect"}, *({"type": "websocket.receive", "text": text} for text in send)]
    incoming.append({"type": "websocket.disconnect", "code": 1000})
    sent: list[dict] = []

    async def receive():
        return incoming.pop(0)

    async def keep(message):
        sent.append(message)

    scope = {
        "type": "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "ws", "path": path, "raw_path": path.encode(),
        "query_string": b"", "root_path": "", "headers": [(b"host", b"testserver"), *headers], "subprotocols": [],
        "client": (PROXY, 4000), "server": ("testserver", 80), "extensions": extensions or {},
    }  # fmt: skip
    await app(scope, receive, keep)
    return sent


@pytest.fixture
def settings(tmp_path) -> dict[str, Any]:
    """Two tenants, a directory of the test's own, and a network of proxies that are believed."""
    return {"directory": str(tmp_path / "cache"), "tenants": ["a", "b"], "trusted_proxies": ["10.0.0.0/8"]}


def _routes(app: FastAPI) -> FastAPI:
    """Give an application routes that read and write the cache of their tenant."""

    @app.put("/keys/{key}")
    async def put(key: str, value: str, cache: Cache) -> bool:
        return await cache.set(key, value, ttl=60)

    @app.get("/keys/{key}")
    async def get(key: str, cache: Cache) -> JSONResponse:
        return JSONResponse({"tenant": cache.tenant, "value": await cache.get(key)})

    @app.get("/blocking")
    def blocking(cache: Cache) -> str:
        return cache.tenant

    return app


@pytest.fixture
def app(settings) -> FastAPI:
    """An application for the tenants of the header."""
    made = _routes(FastAPI(lifespan=caching_lifespan(settings)))
    made.add_middleware(TenantMiddleware)
    return made


def _problem(response: httpx.Response) -> dict:
    """Return the problem document of a refusal."""
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    document = json.loads(response.content)
    assert document["status"] == response.status_code
    return document


@pytest.fixture
def served() -> Callable:
    return _served


@pytest.fixture
def client_of() -> Callable:
    return _client_of


@pytest.fixture
def asked() -> Callable:
    return _asked


@pytest.fixture
def websocket() -> Callable:
    return _websocket


@pytest.fixture
def problem() -> Callable:
    return _problem


@pytest.fixture
def with_routes() -> Callable:
    return _routes
