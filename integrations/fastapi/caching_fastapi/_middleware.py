"""Whose a connection is, decided before the application sees it."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from caching_core import CacheManager, use_tenant
from caching_core.errors import ConfigInvalid
from caching_core.tenancy import PROBLEM_JSON, HeaderResolver, Rejection, Resolver
from caching_fastapi._state import STATE_KEY, manager_of
from caching_fastapi._view import routed_path, view_of

_POLICY_VIOLATION: Final = 1008  # RFC 6455 7.4.1
_ROUTES: Final = ("/healthz", "/metrics")


class TenantMiddleware:
    """Pure ASGI: finds the tenant of each HTTP and WebSocket connection, and makes it the current one while it is served.

    A connection that names no tenant, or none in form, is answered with 400; one that names a tenant which this cache does not
    know, or two, with 403: ``application/problem+json``, which does not tell who exists. A WebSocket is refused before it opens.

    ``manager`` is taken from the lifespan if it is left out. ``resolvers`` are all asked and must agree; without any, the header
    ``X-Tenant-ID`` counts, from the ``trusted_proxies`` of the settings only. ``is_known`` says which tenants exist where the
    settings do not list them. ``exempt`` are paths, below where the application is mounted, that belong to no tenant.

    A proxy is known by its address, the peer of the connection. A server that puts the address of ``X-Forwarded-For`` in its
    place hides it, or lets anybody pose as it where the server believes everybody: run uvicorn with ``--no-proxy-headers``.
    """

    def __init__(
        self,
        app: ASGIApp,
        manager: CacheManager | None = None,
        resolvers: Sequence[Resolver] | None = None,
        *,
        is_known: Callable[[str], bool] | None = None,
        exempt: Collection[str] = _ROUTES,
    ) -> None:
        """Raise ConfigInvalid if nothing could ever name a tenant."""
        self.app = app
        self._manager = manager
        self._resolvers = None if resolvers is None else tuple(resolvers)
        self._is_known = is_known
        self._exempt = frozenset(exempt)
        # The manager that was met last, told that its calls need a tenant, and the resolvers for it.
        self._met: tuple[CacheManager, Sequence[Resolver]] | None = None
        if manager is not None:
            self._meet(manager)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection; what is neither HTTP nor WebSocket passes as it is."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        manager = self._manager
        if manager is None:
            manager = manager_of(scope)
        else:
            scope.setdefault("state", {})[STATE_KEY] = manager
        met = self._met
        resolvers = met[1] if met is not None and met[0] is manager else self._meet(manager)
        tenant = None
        if routed_path(scope) not in self._exempt:
            found = manager.tenant_of(view_of(scope), resolvers, is_known=self._is_known)
            if isinstance(found, Rejection):
                await _Refusal(found)(scope, receive, send)
                return
            tenant = found
        with use_tenant(tenant):
            await self.app(scope, receive, send)

    def _meet(self, manager: CacheManager) -> Sequence[Resolver]:
        resolvers = self._resolvers
        if resolvers is None:
            proxies = manager.config.tenancy.trusted_proxies
            if not proxies:
                raise ConfigInvalid(
                    "TenantMiddleware has nothing that names a tenant: give trusted_proxies in the configuration, whose X-Tenant-ID is "
                    "then believed, or resolvers=[…]"
                )
            resolvers = (HeaderResolver(proxies),)
        if not resolvers:
            raise ConfigInvalid("TenantMiddleware was given no resolver; leave resolvers out for the X-Tenant-ID of trusted_proxies")
        manager.require_tenant()
        self._met = (manager, resolvers)
        return resolvers


class _Refusal:
    """The answer to one connection that is nobody's."""

    __slots__ = ("_rejection",)

    def __init__(self, rejection: Rejection) -> None:
        self._rejection = rejection

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it; a WebSocket whose server cannot send it is closed, which servers answer with 403."""
        prefix = ""
        if scope["type"] == "websocket":
            if "websocket.http.response" not in scope.get("extensions", {}):
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": self._rejection.detail})
                return
            prefix = "websocket."
        body = self._rejection.body()
        headers = [
            (b"content-type", PROBLEM_JSON.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": f"{prefix}http.response.start", "status": self._rejection.status, "headers": headers})
        await send({"type": f"{prefix}http.response.body", "body": b"" if scope.get("method") == "HEAD" else body})
