"""System checks: what a look at the settings can tell before the first request does. Nothing is opened."""

import os
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.utils.module_loading import import_string

from caching_core.config import CacheConfig, nearest
from caching_core.crypto import ENVIRONMENT_NAME
from caching_core.errors import CacheError
from caching_django._backend import TieredCache
from caching_django._keys import check_prefix
from caching_django._options import IGNORED_OPTIONS, core_settings, known_options
from caching_django._shared import is_multi_tenant
from caching_django._tenants import SETTING, read_rules

MIDDLEWARE: Final = "caching_django.TenantMiddleware"
_CACHING: Final = ("django.middleware.cache.UpdateCacheMiddleware", "django.middleware.cache.FetchFromCacheMiddleware")
_AUTHENTICATION: Final = "django.contrib.auth.middleware.AuthenticationMiddleware"
_SESSIONS: Final = ("django.contrib.sessions.backends.cache", "django.contrib.sessions.backends.cached_db")

Alias = tuple[str, Mapping[str, Any]]  # Any: settings hold anything


def check_aliases(**_options: object) -> list[CheckMessage]:
    """Check every alias of ``CACHES`` that is ours."""
    return [message for alias in _aliases() for message in _of_alias(alias)]


def check_tenants(**_options: object) -> list[CheckMessage]:
    """Check what multi-tenant use asks for: resolvers, the order of middleware, a tenant for the sessions."""
    return [*_of_sessions(), *_of_middleware()]


def _aliases() -> Iterator[Alias]:
    for name, params in settings.CACHES.items():
        try:
            kind = import_string(params["BACKEND"])
        except (ImportError, KeyError):
            continue  # for Django itself to tell
        if isinstance(kind, type) and issubclass(kind, TieredCache):
            yield name, params


def _of_alias(alias: Alias) -> Iterator[CheckMessage]:
    name, params = alias
    options: Mapping[str, Any] = params.get("OPTIONS") or {}
    known = known_options()
    strange = [key for key in options if str(key).lower() not in known]
    for key in strange:
        meant = nearest(str(key), known)
        hint = f"Did you mean {meant.upper()!r}?" if meant else "`caching_core.config.settings()` lists what there is."
        yield Error(f"CACHES[{name!r}]: OPTIONS has no {key!r}.", hint=hint, id="caching.E001")
    for key in options:
        if str(key).lower() in IGNORED_OPTIONS:
            yield CheckWarning(
                f"CACHES[{name!r}]: {key!r} has no effect here.", hint="Entries are evicted one by one. Remove it.", id="caching.W003"
            )
    try:
        check_prefix(params.get("KEY_PREFIX", ""))
    except CacheError as error:
        yield Error(f"CACHES[{name!r}]: {error}", hint="Choose another KEY_PREFIX.", id="caching.E003")
    try:
        good = {**params, "OPTIONS": {key: value for key, value in options.items() if key not in strange}}
        config = CacheConfig.build(core_settings(params.get("LOCATION", ""), good))
    except CacheError as error:
        yield Error(
            f"CACHES[{name!r}]: {error}", hint="Correct the setting; names may be written in upper or lower case.", id="caching.E002"
        )
        return
    yield from _of_config(name, config, options)


def _of_config(name: str, config: CacheConfig, options: Mapping[str, Any]) -> Iterator[CheckMessage]:
    crypto, directory = config.crypto, config.directory
    is_shared = config.l2.redis_url is not None or bool(config.l3.nodes)
    has_key = bool(crypto.encryption_key) or crypto.key_file is not None or bool(os.environ.get(ENVIRONMENT_NAME, "").strip())
    if is_shared and crypto.enabled and not has_key:
        yield Error(
            f"CACHES[{name!r}]: a server that hosts share needs a key that they share.",
            hint=f"Make one with `caching keystore new-key` and put it, the same one, into {ENVIRONMENT_NAME} or KEY_FILE on every host.",
            id="caching.E004",
        )
    if directory is not None and not directory.is_absolute() and PurePath(directory).parts[:1] != ("~",):
        yield Error(
            f"CACHES[{name!r}]: the folder {str(directory)!r} is relative: processes started elsewhere would have another cache.",
            hint="Give an absolute path, like BASE_DIR / 'cache'.",
            id="caching.E005",
        )
    if not settings.DEBUG and any(str(key).lower() == "encryption_key" for key in options):
        yield CheckWarning(
            f"CACHES[{name!r}]: the key stands in the settings.",
            hint=f"Keep it apart from the code: in the environment ({ENVIRONMENT_NAME}) or in a file of its own (KEY_FILE).",
            id="caching.W001",
        )
    if is_shared and crypto.pickle != "off":
        yield CheckWarning(
            f"CACHES[{name!r}]: pickle is {crypto.pickle!r} on a server that others may reach.",
            hint="Whoever has the key can let a pickle run code. Set PICKLE to 'off' where plain values will do.",
            id="caching.W002",
        )


def _of_sessions() -> Iterator[CheckMessage]:
    if settings.SESSION_ENGINE not in _SESSIONS:
        return
    for name, params in _aliases():
        if name != settings.SESSION_CACHE_ALIAS:
            continue
        try:
            tenancy = CacheConfig.build(core_settings(params.get("LOCATION", ""), params)).tenancy
        except CacheError:
            return  # told above
        if (is_multi_tenant() or tenancy.tenants is not None) and tenancy.tenant is None and tenancy.isolation:
            yield Error(
                f"Sessions are kept in CACHES[{name!r}], which belongs to no tenant by itself; they are read before a tenant is known.",
                hint="Give the sessions an alias of their own, with OPTIONS={'TENANT': 'site'}, and name it in SESSION_CACHE_ALIAS.",
                id="caching.E006",
            )


def _of_middleware() -> Iterator[CheckMessage]:
    order = list(settings.MIDDLEWARE)
    if MIDDLEWARE not in order:
        return
    try:
        rules = read_rules()
    except CacheError as error:
        yield Error(str(error), hint=f"Correct {SETTING}.", id="caching.E007")
        return
    if rules.alias not in dict(_aliases()):
        yield Error(
            f"{SETTING}['ALIAS'] is {rules.alias!r}, which is no alias of caching_django.TieredCache.",
            hint="Name the alias whose settings list the tenants.",
            id="caching.E007",
        )
    place = order.index(MIDDLEWARE)
    for other in _CACHING:
        if other in order[:place]:
            yield Error(
                f"{MIDDLEWARE} stands after {other}, which would answer before the tenant is known.",
                hint=f"Put {MIDDLEWARE} before it.",
                id="caching.E008",
            )
    if rules.user_attribute is not None and _AUTHENTICATION not in order[:place]:
        yield Error(
            f"{MIDDLEWARE} resolves tenants by the user, and {_AUTHENTICATION} does not stand before it.",
            hint=f"Put {MIDDLEWARE} after it.",
            id="caching.E008",
        )
