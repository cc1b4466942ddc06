"""TenantMiddleware over real requests of Django's test clients, blocking and asynchronous."""

import asyncio
import json

import pytest
from asgiref.sync import iscoroutinefunction
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache, caches
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.test import AsyncRequestFactory, RequestFactory, override_settings

from caching_core import current_tenant
from caching_core.audit import tail
from caching_core.errors import ConfigInvalid, TenantUnknown
from caching_django import TenantMiddleware

PROXY = "10.0.0.1"


@pytest.fixture
def site(tmp_path):
    """Settings of a project with two tenants, in force; returns a function that answers requests."""
    options = {"TENANTS": ["a", "b"], "TRUSTED_PROXIES": ["10.0.0.0/8"]}
    alias = {"BACKEND": "caching_django.TieredCache", "LOCATION": str(tmp_path / "cache"), "OPTIONS": options}
    with override_settings(CACHES={"default": alias}, MIDDLEWARE=["caching_django.TenantMiddleware"]):
        yield alias
        caches["default"].manager.close()
        asyncio.run(caches["default"].loop_manager.close())


def ask(rules, view, **request):
    """Send a request through the middleware, in both worlds; returns the responses."""
    request = {"REMOTE_ADDR": PROXY, "path": "/", **request}
    user = request.pop("user", AnonymousUser())
    path = request.pop("path")

    async def later(request):
        return view(request)

    async def who():
        return user

    with override_settings(CACHING_TENANTS=rules):
        plain = RequestFactory().get(path, **request)
        plain.user = user
        yield TenantMiddleware(view)(plain)
        headers = {name: value for name, value in request.items() if name != "REMOTE_ADDR"}
        asked = AsyncRequestFactory().get(path)
        asked.META.update({**headers, "REMOTE_ADDR": request["REMOTE_ADDR"]})
        asked.auser = who
        middleware = TenantMiddleware(later)
        assert iscoroutinefunction(middleware)
        yield asyncio.run(middleware(asked))


def tenant(_request):
    return HttpResponse(current_tenant() or "nobody")


class User:
    """A user who is logged in, with an attribute."""

    is_authenticated = True

    def __init__(self, tenant):
        self.tenant = tenant


@pytest.mark.parametrize(
    ("rules", "request_"),
    [
        ({}, {"HTTP_X_TENANT_ID": "a"}),
        ({"HEADER": "X-Label"}, {"HTTP_X_LABEL": "a"}),
        ({"RESOLVERS": ["path"]}, {"path": "/t/a/albums"}),
        ({"RESOLVERS": ["subdomain"], "DOMAIN": "example.org"}, {"HTTP_HOST": "a.example.org"}),
        ({"RESOLVERS": ["user"]}, {"user": User("a")}),
        ({"RESOLVERS": ["user", "header"]}, {"user": User("a"), "HTTP_X_TENANT_ID": "a"}),
        ({"RESOLVERS": [lambda view: "a"]}, {}),
    ],
)
def test_a_request_has_its_tenant_and_nobody_has_it_later(site, rules, request_):
    for response in ask(rules, tenant, **request_):
        assert response.content == b"a"
        assert current_tenant() is None


@pytest.mark.parametrize(
    ("rules", "request_", "status"),
    [
        ({}, {}, 400),
        ({}, {"HTTP_X_TENANT_ID": "A b"}, 400),
        ({}, {"HTTP_X_TENANT_ID": "a,b"}, 400),
        ({}, {"HTTP_X_TENANT_ID": "a", "REMOTE_ADDR": "11.0.0.1"}, 400),
        ({}, {"HTTP_X_TENANT_ID": "c"}, 403),
        ({"RESOLVERS": ["header", "path"]}, {"HTTP_X_TENANT_ID": "a", "path": "/t/b/"}, 403),
        ({"RESOLVERS": ["user"]}, {}, 400),
        ({"RESOLVERS": ["user", "header"]}, {"user": User("a"), "HTTP_X_TENANT_ID": "b"}, 403),
    ],
)
def test_a_request_without_a_good_tenant_does_not_reach_the_view(site, rules, request_, status):
    for response in ask(rules, lambda _request: pytest.fail("the view was called"), **request_):
        assert response.status_code == status
        assert response["Content-Type"] == "application/problem+json"
        document = json.loads(response.content)
        assert document["status"] == status
        assert set(document) == {"type", "title", "status", "detail"}


def test_refusals_are_in_the_audit_log(site, tmp_path):
    for _ in ask({}, tenant, HTTP_X_TENANT_ID="c"):
        pass
    assert caches["default"].manager.flush_audit()
    assert {record.detail["reason"] for record in tail(tmp_path / "cache") if record.action == "tenant_rejected"} == {"unknown"}


def test_exempt_paths_have_no_tenant(site):
    for response in ask({"EXEMPT": ["/healthz"]}, tenant, path="/healthz"):
        assert response.content == b"nobody"


def test_the_cache_of_a_request_is_its_tenants(site):
    def view(request):
        before = cache.get("k")
        cache.set("k", current_tenant())
        return HttpResponse(str(before))

    seen = [response.content for name in ("a", "b", "a", "b") for response in ask({}, view, HTTP_X_TENANT_ID=name)]
    assert seen == [b"None", b"a", b"None", b"b", b"a", b"a", b"b", b"b"]
    with pytest.raises(TenantUnknown):
        cache.get("k")


def test_a_project_with_its_own_register_of_tenants(site):
    del site["OPTIONS"]["TENANTS"]
    rules = {"EXISTS": lambda name: name == "registered"}
    for name, status in (("registered", 200), ("other", 403)):
        for response in ask(rules, tenant, HTTP_X_TENANT_ID=name):
            assert response.status_code == status


def test_an_exception_of_the_view_leaves_no_tenant_behind(site):
    def view(_request):
        raise RuntimeError("the view's own")

    with pytest.raises(RuntimeError, match="own"):
        list(ask({}, view, HTTP_X_TENANT_ID="a"))
    assert current_tenant() is None


def test_what_is_streamed_later_belongs_to_the_tenant(site):
    def view(_request):
        return StreamingHttpResponse(str(current_tenant()) for _ in range(3))

    with override_settings(CACHING_TENANTS={}):
        request = RequestFactory().get("/", HTTP_X_TENANT_ID="a", REMOTE_ADDR=PROXY)
        response = TenantMiddleware(view)(request)
        parts = []
        for part in response:
            assert current_tenant() is None
            parts.append(part)
    assert parts == [b"a"] * 3


async def test_what_is_streamed_from_a_loop_belongs_to_the_tenant(site):
    async def parts():
        for _ in range(3):
            await asyncio.sleep(0)
            yield str(current_tenant())

    async def view(_request):
        return StreamingHttpResponse(parts())

    request = AsyncRequestFactory().get("/")
    request.META.update(HTTP_X_TENANT_ID="b", REMOTE_ADDR=PROXY)
    response = await TenantMiddleware(view)(request)
    assert [part async for part in response] == [b"b"] * 3
    assert current_tenant() is None


def test_a_file_is_still_handed_to_the_server(site, tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    request = RequestFactory().get("/", HTTP_X_TENANT_ID="a", REMOTE_ADDR=PROXY)
    response = TenantMiddleware(lambda _request: FileResponse((tmp_path / "file").open("rb")))(request)
    assert response.file_to_stream is not None
    response.close()


async def test_requests_at_once_do_not_see_each_others_tenant(site):
    async def view(_request):
        await cache.aset("k", current_tenant())
        await asyncio.sleep(0)
        return HttpResponse(f"{current_tenant()} {await cache.aget('k')}")

    async def one(number):
        name = "ab"[number % 2]
        request = AsyncRequestFactory().get("/")
        request.META.update(HTTP_X_TENANT_ID=name, REMOTE_ADDR=PROXY)
        return (await middleware(request)).content == f"{name} {name}".encode()

    middleware = TenantMiddleware(view)
    assert all(await asyncio.gather(*map(one, range(200))))


@pytest.mark.parametrize("alias", ["other", "default"])
def test_an_alias_of_another_backend_is_refused(alias):
    other = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    with (
        override_settings(CACHES={"default": other, "other": other}, CACHING_TENANTS={"ALIAS": alias}),
        pytest.raises(ConfigInvalid, match="BACKEND"),
    ):
        TenantMiddleware(tenant)
