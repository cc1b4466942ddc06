"""Where the tasks of an application find the cache."""

import os
from collections.abc import Mapping
from typing import Any, Final

from caching_core import CacheConfig, SyncCacheManager
from caching_core.config import MAIN_TENANT
from caching_core.errors import ConfigInvalid

_ATTRIBUTE: Final = "caching_source"  # on the Celery application, so that tasks shared by several find each one's own
_DEFAULT_ALIAS: Final = "default"

# Any, in this module: Celery and Django ship no annotations.


class CacheSource:
    """A configuration, or an alias of Django's, and the blocking manager over it. Opens nothing by itself."""

    def __init__(self, cache: Mapping[str, object] | CacheConfig | str | None = None) -> None:
        """Settle the configuration now, an alias at its first use. Raises ConfigInvalid."""
        self._alias: str | None = None
        self._manager: SyncCacheManager | None = None
        if isinstance(cache, str):
            self._alias = cache
        elif cache is None and os.environ.get("DJANGO_SETTINGS_MODULE"):
            self._alias = _DEFAULT_ALIAS
        else:
            self._manager = SyncCacheManager(cache)

    @property
    def manager(self) -> SyncCacheManager:
        """Return the manager. Raises ConfigInvalid where the alias is none of ours."""
        return self._manager or _of_alias(self._alias or _DEFAULT_ALIAS)

    @property
    def early_config(self) -> CacheConfig:
        """Return the settings as far as they are known while the application is configured: an alias counts as the defaults."""
        return CacheConfig.build({}, environ={}) if self._manager is None else self._manager.config

    @property
    def own_tenant(self) -> str:
        """Return a tenant of this cache, under which the tasks can note things of their own."""
        tenancy = self.manager.config.tenancy
        return tenancy.tenant or next(iter(sorted(tenancy.tenants or ())), MAIN_TENANT)


def _of_alias(alias: str) -> SyncCacheManager:
    from django.core.cache import InvalidCacheBackendError, caches

    try:
        found = getattr(caches[alias], "manager", None)
    except InvalidCacheBackendError:
        raise ConfigInvalid(f"CACHES has no alias {alias!r}; give install(app, …) the name of one, or a configuration") from None
    if not isinstance(found, SyncCacheManager):
        raise ConfigInvalid(
            f"the alias {alias!r} of CACHES is not one of caching_django.TieredCache; give install(app, …) the name of one that is, "
            "or a configuration"
        )
    return found


def bind(app: Any, source: CacheSource) -> None:
    """Make a source that of an application."""
    setattr(app, _ATTRIBUTE, source)


def source_of(app: Any) -> CacheSource | None:
    """Return the source of an application; None where nothing was installed."""
    source = getattr(app, _ATTRIBUTE, None)
    return source if isinstance(source, CacheSource) else None


def installed_source(app: Any) -> CacheSource:
    """Return the source of an application. Raises ConfigInvalid where nothing was installed."""
    source = source_of(app)
    if source is None:
        raise ConfigInvalid(f"the Celery application {app.main!r} has no cache: call caching_tasks.install(app) where it is made")
    return source
