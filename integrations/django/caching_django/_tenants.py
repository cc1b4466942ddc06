"""The setting CACHING_TENANTS: how a request of this project says which tenant it belongs to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from django.conf import settings
from django.utils.module_loading import import_string

from caching_core.config import nearest
from caching_core.errors import ConfigInvalid
from caching_core.tenancy import (
    TENANT_HEADER,
    AttributeResolver,
    HeaderResolver,
    PathResolver,
    Resolver,
    SubdomainResolver,
)

SETTING: Final = "CACHING_TENANTS"
_DEFAULTS: Final[Mapping[str, object]] = {
    "ALIAS": "default",  # whose settings say which tenants there are, and which proxies are trusted
    "RESOLVERS": ("header",),  # header, path, subdomain, user, or resolvers, as dotted names or themselves
    "HEADER": TENANT_HEADER,
    "PATH": "/t/{tenant}/",
    "DOMAIN": "",
    "USER_ATTRIBUTE": "tenant",
    "EXEMPT": (),  # beginnings of paths that belong to no tenant
    "EXISTS": None,  # function from an id to whether there is such a tenant, where the settings do not list them
}


@dataclass(frozen=True, slots=True)
class TenantRules:
    """The setting, read."""

    alias: str
    resolvers: tuple[Resolver, ...]
    exempt: tuple[str, ...]
    user_attribute: str | None
    exists: Callable[[str], bool] | None


def read_rules(trusted_proxies: Sequence[str] = ()) -> TenantRules:
    """Return how tenants are resolved. Raises ConfigInvalid, naming the key of the setting."""
    given = _given()
    names = _items(given, "RESOLVERS")
    if not names:
        raise ConfigInvalid(f"{SETTING}['RESOLVERS'] is empty: no request would have a tenant")
    exists = given["EXISTS"]
    return TenantRules(
        alias=_text(given, "ALIAS"),
        resolvers=tuple(_resolver(name, given, trusted_proxies) for name in names),
        exempt=_texts(given, "EXEMPT"),
        user_attribute=_text(given, "USER_ATTRIBUTE") if "user" in names else None,
        exists=None if exists is None else cast("Callable[[str], bool]", _imported(exists, "EXISTS")),
    )


def _given() -> dict[str, object]:
    given = getattr(settings, SETTING, {})
    if not isinstance(given, Mapping):
        raise ConfigInvalid(f"{SETTING} must be a mapping, got {type(given).__name__}")
    for name in given:
        if name not in _DEFAULTS:
            meant = nearest(str(name), [known.lower() for known in _DEFAULTS])
            raise ConfigInvalid(f"{SETTING}[{name!r}] is unknown" + (f"; did you mean {meant.upper()!r}?" if meant else ""))
    return {**_DEFAULTS, **given}


def _resolver(name: object, given: Mapping[str, object], trusted_proxies: Sequence[str]) -> Resolver:
    if name == "header":
        return HeaderResolver(trusted_proxies, name=_text(given, "HEADER"))
    if name == "path":
        return PathResolver(_text(given, "PATH"))
    if name == "subdomain":
        if not given["DOMAIN"]:
            raise ConfigInvalid(
                f"{SETTING}['DOMAIN'] is missing: the resolver 'subdomain' needs the domain below which tenants have theirs"
            )
        return SubdomainResolver(_text(given, "DOMAIN"))
    if name == "user":
        return AttributeResolver(_text(given, "USER_ATTRIBUTE"))
    return cast("Resolver", _imported(name, "RESOLVERS"))


def _imported(value: object, key: str) -> object:
    try:
        found = import_string(value) if isinstance(value, str) else value
    except ImportError:
        raise ConfigInvalid(f"{SETTING}[{key!r}] names {value!r}, which cannot be imported") from None
    if not callable(found):
        raise ConfigInvalid(f"{SETTING}[{key!r}] names {value!r}, which cannot be called")
    return cast("object", found)


def _text(given: Mapping[str, object], key: str) -> str:
    value = given[key]
    if not isinstance(value, str):
        raise ConfigInvalid(f"{SETTING}[{key!r}] must be text, got {type(value).__name__}")
    return value


def _texts(given: Mapping[str, object], key: str) -> tuple[str, ...]:
    return tuple(_text({key: item}, key) for item in _items(given, key))


def _items(given: Mapping[str, object], key: str) -> tuple[object, ...]:
    value = given[key]
    if not isinstance(value, list | tuple):
        raise ConfigInvalid(f"{SETTING}[{key!r}] must be a list, got {type(value).__name__}")
    return cast("tuple[object, ...]", tuple(value))
