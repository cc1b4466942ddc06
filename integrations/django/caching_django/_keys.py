"""Where a key of Django's stands in the core: (KEY_PREFIX, VERSION, key) is a namespace and a key."""

from typing import Final

from caching_core.errors import ConfigInvalid
from caching_core.tenancy import check_namespace

VERSION_MARK: Final = "@v"
CUSTOM: Final = ".custom"
LONGEST_PREFIX: Final = 64  # with a version it still stands in the names of a store in clear, where clear() looks for it
_MEMCACHED: Final = 250


def check_prefix(prefix: object) -> str:
    """Return a KEY_PREFIX that can be the beginning of a namespace. Raises ConfigInvalid (and KeyInvalid for what no namespace has)."""
    text = str(prefix)
    if len(text) > LONGEST_PREFIX:
        raise ConfigInvalid(f"KEY_PREFIX has {len(text)} characters; at most {LONGEST_PREFIX} are taken")
    if VERSION_MARK in text or text.endswith(CUSTOM):
        raise ConfigInvalid(f"KEY_PREFIX may neither hold {VERSION_MARK!r} nor end in {CUSTOM!r}: such namespaces have a meaning here")
    return check_namespace(text) if text else ""


def namespace_of(own: str, version: object) -> str:
    """Return the namespace of a version; version 1 is what the core and other frameworks see."""
    return own if version == 1 or str(version) == "1" else f"{own}{VERSION_MARK}{version}"


def is_portable(key: str, extra: int) -> bool:
    """Tell quickly that Django has nothing to warn of; ``extra`` is what prefix and version add to the length."""
    return len(key) + extra <= _MEMCACHED and key.isprintable() and " " not in key
