"""What all cache objects of a process share whose alias has equal settings: the managers of both worlds and their handles."""

from collections.abc import Hashable, Mapping
from typing import cast

from django.apps import apps
from django.conf import settings

from caching_core import CacheManager, SyncCacheManager, SyncTenantCache, TenantCache
from caching_core.assembly import keep
from caching_core.config import CacheConfig
from caching_core.tenancy import current_tenant
from caching_django._options import core_settings

MIDDLEWARE = "caching_django.TenantMiddleware"


class SharedCache:
    """The managers over one configuration. Handles are bound once per tenant and namespace, and found by a look into a dict."""

    __slots__ = ("_blocking", "_loop", "config", "loop_manager", "manager")

    def __init__(self, config: CacheConfig) -> None:
        """Open nothing yet."""
        self.config = config
        self.manager = SyncCacheManager(config)
        self.loop_manager = CacheManager(config)
        self._blocking: dict[str, dict[str | None, SyncTenantCache]] = {}
        self._loop: dict[str, dict[str | None, TenantCache]] = {}

    def require_tenant(self) -> None:
        """Turn both managers to multi-tenant use, if they are not."""
        self.manager.require_tenant()
        self.loop_manager.require_tenant()

    def blocking(self, namespace: str) -> dict[str | None, SyncTenantCache]:
        """Return the blocking handles of a namespace by tenant; those that were asked for."""
        return self._blocking.setdefault(namespace, {})

    def loop(self, namespace: str) -> dict[str | None, TenantCache]:
        """Return the handles for the event loop, as ``blocking``."""
        return self._loop.setdefault(namespace, {})

    def bind(self, namespace: str) -> SyncTenantCache:
        """Return the current tenant's blocking handle. Raises TenantUnknown where there has to be one and is none."""
        handle = self.manager.tenant(None, namespace=namespace)
        self.blocking(namespace)[current_tenant()] = handle
        return handle

    def bind_loop(self, namespace: str) -> TenantCache:
        """Return the current tenant's handle for the event loop, as ``bind``."""
        handle = self.loop_manager.tenant(None, namespace=namespace)
        self.loop(namespace)[current_tenant()] = handle
        return handle


def shared_cache(location: object, params: Mapping[str, object]) -> SharedCache:
    """Return what an alias with these settings shares in this process; nothing is opened. Raises ConfigInvalid."""
    patterns, needs_tenant = _app_patterns(), is_multi_tenant()
    parts = (location, params.get("OPTIONS"), params.get("TIMEOUT", params.get("timeout", 300)), patterns, needs_tenant)

    def make() -> SharedCache:
        shared = SharedCache(CacheConfig.build(core_settings(location, params, app_patterns=patterns)))
        if needs_tenant:
            shared.require_tenant()
        return shared

    return keep(("caching_django", _frozen(parts)), make)


def is_multi_tenant() -> bool:
    """Return whether the project has put TenantMiddleware before its views: then no call goes without a tenant."""
    return MIDDLEWARE in (getattr(settings, "MIDDLEWARE", None) or ())


def _app_patterns() -> tuple[str, ...]:
    """Return patterns for the classes of the installed apps; before the apps are loaded, for the packages that are named."""
    if apps.apps_ready:
        return tuple(f"{app.name}.*" for app in apps.get_app_configs())
    return tuple(f"{name.partition('.apps.')[0]}.*" for name in getattr(settings, "INSTALLED_APPS", ()))


def _frozen(value: object) -> Hashable:
    """Return something hashable that is equal for equal settings; the order of policies is one of them."""
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value)
        return ("mapping", tuple((_frozen(name), _frozen(item)) for name, item in pairs.items()))
    if isinstance(value, list | tuple):
        return (type(value), tuple(_frozen(item) for item in cast("tuple[object, ...]", tuple(value))))
    if isinstance(value, set | frozenset):
        return ("set", frozenset(cast("set[Hashable]", value)))
    try:
        hash(value)
    except TypeError:
        return ("object", id(value))  # no setting is such a thing: building the configuration says so
    return (type(value), value)
