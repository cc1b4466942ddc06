"""Whose a connection is: told by its parts, refused without telling who exists, and forgotten when it ends."""

import json
from contextlib import asynccontextmanager
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.routing import Mount

from caching_core import CacheManager, current_tenant
from caching_core.audit import tail
from caching_core.errors import ConfigInvalid, TenantUnknown
from caching_fastapi import (
    AttributeResolver,
    HeaderResolver,
    PathResolver,
    SubdomainResolver,
    TenantCache,
    TenantMiddleware,
    caching_lifespan,
    tenant_cache,
)

HEADER = "x-tenant-id"
MALFORMED = [
    "a:b", "a}{b", "*", "[a-z]", "a?", "../x", "", "a" * 64, "a b", "a,b", "A", "-a",
    "\u0430cme".encode(), b"a\xe2\x80\x8b", "\uff41".encode(), "e\u0301".encode(), "\u202ea".encode(), b"a\xff", b"a%00",
]  # fmt: skip


def with_tenant(tenant):
    return [(HEADER, tenant)]


@asynccontextmanager
async def nothing(app):
    yield {}


@pytest.fixture
def resolved(settings, with_routes):
    """Make an application with some resolvers."""

    def make(*resolvers, outside=(), **options):
        app = with_routes(FastAPI(lifespan=caching_lifespan(settings)))
        app.add_middleware(TenantMiddleware, resolvers=resolvers, **options)
        for middleware in outside:
            app.add_middleware(middleware)
        return app

    return make


async def test_each_tenant_has_its_own(asked, app):
    async with asked(app) as client:
        for tenant in ("a", "b"):
            assert (await client.put("/keys/k", params={"value": f"of {tenant}"}, headers=with_tenant(tenant))).json() is True
        for tenant in ("a", "b"):
            told = (await client.get("/keys/k", headers=with_tenant(tenant))).json()
            assert told == {"tenant": tenant, "value": f"of {tenant}"}
            assert (await client.get("/blocking", headers=with_tenant(tenant))).json() == tenant
    assert current_tenant() is None


@pytest.mark.parametrize("said", MALFORMED, ids=ascii)
async def test_what_is_no_tenant_id_is_400(asked, app, problem, said):
    async with asked(app) as client:
        response = await client.get("/keys/k", headers=with_tenant(said))
    assert response.status_code == 400
    assert problem(response)["title"] == "Bad Request"


async def test_two_headers_are_400(asked, app):
    async with asked(app) as client:
        assert (await client.get("/keys/k", headers=[*with_tenant("a"), *with_tenant("b")])).status_code == 400


async def test_no_tenant_is_400(asked, app, problem):
    async with asked(app) as client:
        response = await client.get("/keys/k")
    assert response.status_code == 400
    assert "does not say" in problem(response)["detail"]


async def test_a_foreign_tenant_is_403_and_is_not_made(asked, app, problem, settings):
    async with asked(app) as client:
        response = await client.get("/keys/k", headers=with_tenant("c"))
        assert response.status_code == 403
        assert "c" not in problem(response)["detail"].split()
        manager = CacheManager(settings)
        assert (await manager.stats()).tenants == 0
        await manager.close()


async def test_where_tenants_are_not_listed_a_request_makes_none(asked, settings, with_routes):
    app = with_routes(FastAPI(lifespan=caching_lifespan({**settings, "tenants": None})))
    app.add_middleware(TenantMiddleware, is_known=lambda tenant: tenant == "fresh")
    async with asked(app) as client:
        assert (await client.get("/keys/k", headers=with_tenant("a"))).status_code == 403
        assert (await client.get("/keys/k", headers=with_tenant("fresh"))).status_code == 200


async def test_refusals_are_alike_and_recorded_without_the_id(asked, resolved, settings, problem):
    app = resolved(HeaderResolver(["10.0.0.0/8"]), PathResolver("/t/{tenant}/"))
    async with asked(app) as client:
        unknown = await client.get("/t/zzz/", headers=with_tenant("zzz"))
        disagreeing = await client.get("/t/a/", headers=with_tenant("b"))
        assert unknown.status_code == disagreeing.status_code == 403
        assert problem(unknown) == problem(disagreeing)
        assert unknown.headers.raw == disagreeing.headers.raw
    records = [record for record in tail(settings["directory"]) if record.action == "tenant_rejected"]
    assert [record.detail["reason"] for record in records] == ["unknown", "contradicted"]
    assert "zzz" not in repr(records)


@pytest.mark.parametrize("peer", ["11.1.2.3", "127.0.0.1", "::1", ""])
async def test_a_header_of_somebody_else_is_not_believed(asked, app, peer):
    async with asked(app, peer=peer) as client:
        for tenant in ("a", "c"):
            assert (await client.get("/keys/k", headers=with_tenant(tenant))).status_code == 400


async def test_forwarding_headers_do_not_make_a_proxy(asked, app):
    spoofed = {"x-forwarded-for": "10.1.2.3", "forwarded": "for=10.1.2.3", "x-real-ip": "10.1.2.3", HEADER: "a"}
    async with asked(app, peer="11.1.2.3") as client:
        assert (await client.get("/keys/k", headers=spoofed)).status_code == 400


async def test_the_path_names_the_tenant_below_the_mount(asked, settings, with_routes):
    inner = with_routes(FastAPI())

    @inner.get("/t/{name}/whose")
    async def whose(name: str) -> str | None:
        return current_tenant()

    inner.add_middleware(TenantMiddleware, resolvers=[PathResolver("/t/{tenant}/")])
    app = Starlette(routes=[Mount("/api", app=inner)], lifespan=caching_lifespan(settings))
    async with asked(app) as client:
        assert (await client.get("/api/t/a/whose")).json() == "a"
        assert (await client.get("/api/t/c/whose")).status_code == 403
        assert (await client.get("/api/keys/k")).status_code == 400


async def test_the_sub_domain_names_the_tenant(asked, resolved):
    app = resolved(SubdomainResolver("example.org"))
    for host, status in {
        "a.example.org": 200,
        "A.example.org:8000": 200,
        "c.example.org": 403,
        "example.org": 400,
        "a.evil.org": 400,
    }.items():
        async with asked(app, base_url=f"http://{host}") as client:
            forwarded = {"x-forwarded-host": "b.example.org"}
            response = await client.get("/keys/k", headers=forwarded)
            assert response.status_code == status, host
            assert status != 200 or response.json()["tenant"] == "a"


class Claims:
    """Stands for an authentication that has verified a token."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            scope["user"] = {"tenant": "a"}
        await self.app(scope, receive, send)


async def test_a_verified_claim_beats_no_header(asked, resolved):
    app = resolved(AttributeResolver("tenant"), HeaderResolver(["10.0.0.0/8"]), outside=[Claims])
    async with asked(app) as client:
        assert (await client.get("/keys/k")).json()["tenant"] == "a"
        assert (await client.get("/keys/k", headers=with_tenant("a"))).status_code == 200
        assert (await client.get("/keys/k", headers=with_tenant("b"))).status_code == 403


async def test_paths_that_belong_to_nobody_pass(asked, resolved):
    app = resolved(HeaderResolver(["10.0.0.0/8"]), exempt=["/open"])

    @app.get("/open")
    async def of_nobody() -> str | None:
        return current_tenant()

    async with asked(app) as client:
        assert (await client.get("/open", headers=with_tenant("b"))).json() is None
        for path in ("/open/", "/open/../keys/k", "//open", "/OPEN", "/open;x"):
            assert (await client.get(path)).status_code == 400, path
    with pytest.raises(TenantUnknown):  # nobody's cache is not that of main
        async with asked(resolved(HeaderResolver(["10.0.0.0/8"]), exempt=["/keys/k"])) as client:
            await client.get("/keys/k")


async def test_a_head_request_is_refused_without_a_body(asked, app):
    async with asked(app) as client:
        response = await client.head("/keys/k")
    assert (response.status_code, response.content) == (400, b"")


async def test_the_application_below_is_not_called_for_a_refused_request(settings, client_of):
    called = []

    async def below(scope, receive, send):
        called.append(scope)

    async with CacheManager(settings) as manager, client_of(TenantMiddleware(below, manager)) as client:
        assert (await client.post("/", content=b"x" * 100)).status_code == 400
    assert called == []


async def test_a_manager_can_be_given_and_no_lifespan_is_needed(client_of, settings, with_routes):
    async with CacheManager(settings) as manager, client_of(TenantMiddleware(with_routes(FastAPI()), manager=manager)) as client:
        await client.put("/keys/k?value=v", headers=with_tenant("a"))
        assert (await client.get("/keys/k", headers=with_tenant("a"))).json() == {"tenant": "a", "value": "v"}
        assert (await client.get("/keys/k", headers=with_tenant("b"))).json() == {"tenant": "b", "value": None}


async def test_lifespan_and_unknown_kinds_pass_as_they_are(settings):
    seen = []

    async def below(scope, receive, send):
        seen.append((scope, receive, send, current_tenant()))

    async with CacheManager(settings) as manager:
        middleware = TenantMiddleware(below, manager)
        for kind in ("lifespan", "lifespan.like"):
            scope = {"type": kind}
            await middleware(scope, "receive", "send")
            assert seen.pop() == (scope, "receive", "send", None)
            assert scope == {"type": kind}


@pytest.mark.parametrize("options", [{"trusted_proxies": []}, {"resolvers": []}])
async def test_a_middleware_that_can_resolve_nothing_says_so(settings, options):
    resolvers = options.pop("resolvers", None)
    async with CacheManager({**settings, **options}) as manager:
        with pytest.raises(ConfigInvalid, match="resolver"):
            TenantMiddleware(nothing, manager, resolvers)


async def test_without_a_tenant_the_cache_of_main_is_no_fallback(client_of, settings):
    async with CacheManager({**settings, "tenants": None}) as manager:
        TenantMiddleware(nothing, manager)
        with pytest.raises(TenantUnknown):
            manager.tenant()


async def test_the_tenant_is_reset_when_the_application_raises(client_of, settings):
    async def failing(scope, receive, send):
        assert current_tenant() == "a"
        raise ZeroDivisionError

    async with CacheManager(settings) as manager, client_of(TenantMiddleware(failing, manager)) as client:
        with pytest.raises(ZeroDivisionError):
            await client.get("/", headers=with_tenant("a"))
    assert current_tenant() is None


@pytest.fixture
def talking(app):
    """The application with a WebSocket that stores what it is told."""

    @app.websocket("/talk")
    async def talk(connection: WebSocket, cache: Annotated[TenantCache, Depends(tenant_cache)]) -> None:
        await connection.accept()
        await cache.set("said", await connection.receive_text(), ttl=60)
        await connection.send_json([cache.tenant, current_tenant(), await cache.get("said")])

    return app


async def test_a_websocket_has_its_tenant(served, talking, websocket):
    async with served(talking) as running:
        for tenant in ("a", "b"):
            sent = await websocket(running, "/talk", headers=((b"x-tenant-id", tenant.encode()),), send=(f"hello {tenant}",))
            assert [message["type"] for message in sent[:2]] == ["websocket.accept", "websocket.send"]
            assert json.loads(sent[1]["text"]) == [tenant, tenant, f"hello {tenant}"]


@pytest.mark.parametrize(("said", "status"), [(b"A", 400), (b"", 400), (b"c", 403)])
async def test_a_websocket_is_refused_before_it_opens(served, talking, websocket, said, status):
    async with served(talking) as running:
        headers = ((b"x-tenant-id", said),)
        start, body = await websocket(running, "/talk", headers=headers, extensions={"websocket.http.response": {}})
        assert (start["type"], start["status"]) == ("websocket.http.response.start", status)
        assert (b"content-type", b"application/problem+json") in start["headers"]
        assert json.loads(body["body"])["status"] == status
        (close,) = await websocket(running, "/talk", headers=headers)
        assert (close["type"], close["code"]) == ("websocket.close", 1008)
