"""TenantMiddleware: whose a request is, decided before any view, for blocking and asynchronous projects."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.core.cache import caches
from django.http import HttpResponse

from caching_core.errors import ConfigInvalid
from caching_core.tenancy import PROBLEM_JSON, Rejection, RequestView, use_tenant
from caching_django._backend import TieredCache
from caching_django._tenants import SETTING, read_rules

# Any, in this module: requests and responses, which Django does not annotate.


class TenantMiddleware:
    """Gives each request its tenant, by the setting CACHING_TENANTS; without a good one the view is not called.

    400 where the request says none or something else, 403 where it may not have the one that it says; both as problem+json.
    The tenant also holds while a streaming response is sent. To resolve by more of the request, override ``attributes``.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        """Read the settings. Raises ConfigInvalid."""
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        cache = caches[read_rules().alias]
        if not isinstance(cache, TieredCache):
            raise ConfigInvalid(f"{SETTING}['ALIAS'] names an alias whose BACKEND is not caching_django.TieredCache")
        self._manager = cache.shared.manager
        self._rules = read_rules(cache.shared.config.tenancy.trusted_proxies)
        for alias in caches:
            each = caches[alias]
            if isinstance(each, TieredCache):
                each.shared.require_tenant()  # also where a subclass of this stands in MIDDLEWARE, which settings cannot tell

    def __call__(self, request: Any) -> Any:
        """Answer a request; in an asynchronous project this is awaited."""
        if self._is_async:
            return self._answer(request)
        if self._is_exempt(request):
            return self.get_response(request)
        return self._with_tenant(request, self._decide(request, self.attributes(request)))

    def attributes(self, request: Any) -> Mapping[str, object]:
        """Return what the authentication has verified: the user's attribute, where the resolver ``user`` is in use."""
        name = self._rules.user_attribute
        return {} if name is None else _attribute(request.user, name)

    async def aattributes(self, request: Any) -> Mapping[str, object]:
        """As ``attributes``, in an asynchronous project."""
        name = self._rules.user_attribute
        return {} if name is None else _attribute(await request.auser(), name)

    def _with_tenant(self, request: Any, found: str | Rejection) -> Any:
        if isinstance(found, Rejection):
            return _problem(found)
        with use_tenant(found):
            response = self.get_response(request)
        return _carry(response, found)

    async def _answer(self, request: Any) -> Any:
        if self._is_exempt(request):
            return await cast("Awaitable[Any]", self.get_response(request))
        attributes = await self.aattributes(request)
        if self._rules.exists is None:
            found = self._decide(request, attributes)
        else:  # a function of the project's, which may ask the database
            found = await sync_to_async(self._decide)(request, attributes)
        if isinstance(found, Rejection):
            return _problem(found)
        with use_tenant(found):
            response = await cast("Awaitable[Any]", self.get_response(request))
        return _carry(response, found)

    def _is_exempt(self, request: Any) -> bool:
        return bool(self._rules.exempt) and request.path_info.startswith(self._rules.exempt)

    def _decide(self, request: Any, attributes: Mapping[str, object]) -> str | Rejection:
        view = RequestView(
            path=request.path_info,
            host=request.get_host(),  # compared with ALLOWED_HOSTS there
            headers=_Headers(request.META),
            peer=request.META.get("REMOTE_ADDR") or "",
            attributes=attributes,
        )
        return self._manager.tenant_of(view, self._rules.resolvers, is_known=self._rules.exists)


class _Headers(Mapping[str, str]):
    """The headers of a request by lower-case name, without a copy of all of them."""

    __slots__ = ("_meta",)

    def __init__(self, meta: Mapping[str, Any]) -> None:
        self._meta = meta

    def __getitem__(self, name: str) -> str:
        return cast("str", self._meta[f"HTTP_{name.upper().replace('-', '_')}"])

    def __iter__(self) -> Iterator[str]:
        return (name[5:].lower().replace("_", "-") for name in self._meta if name.startswith("HTTP_"))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _attribute(user: Any, name: str) -> dict[str, object]:
    return {name: getattr(user, name, None)} if getattr(user, "is_authenticated", False) else {}


def _problem(rejection: Rejection) -> Any:
    return HttpResponse(rejection.body(), status=rejection.status, content_type=PROBLEM_JSON)


def _carry(response: Any, tenant: str) -> Any:
    """Let what a streaming response computes later belong to the tenant, too."""
    if getattr(response, "streaming", False) and getattr(response, "file_to_stream", None) is None:
        each = _each_later if response.is_async else _each
        response.streaming_content = each(response.streaming_content, tenant)
    return response


def _each(chunks: Iterable[bytes], tenant: str) -> Iterator[bytes]:
    rest = iter(chunks)
    while True:
        with use_tenant(tenant):
            try:
                chunk = next(rest)
            except StopIteration:
                return
        yield chunk


async def _each_later(chunks: AsyncIterator[bytes], tenant: str) -> AsyncIterator[bytes]:
    rest = aiter(chunks)
    while True:
        with use_tenant(tenant):
            try:
                chunk = await anext(rest)
            except StopAsyncIteration:
                return
        yield chunk
