"""Check what callers hand in: tenant ids, keys, namespaces, tags, lifetimes.

Messages name the type, the length or the rule, never the key: it may be somebody's address.
"""

import re
from collections.abc import Iterable
from typing import Final, cast

from caching_core.config import MAX_TTL, TENANT_FORM, TENANT_RULE, shown
from caching_core.errors import KeyInvalid, TenantUnknown, TTLInvalid

MAX_KEY: Final = 2048
MAX_NAMESPACE: Final = 200
MAX_TAG: Final = 250
MAX_TAGS: Final = 32
MAX_INVALIDATED: Final = 1000

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def check_tenant(tenant: object) -> str:
    """Return a tenant id that is in form, as it is; raises TenantUnknown."""
    if not isinstance(tenant, str):
        raise TenantUnknown(f'a tenant id must be str, got {type(tenant).__name__}; pass tenant_id="…"')
    if TENANT_FORM.fullmatch(tenant) is None:
        raise TenantUnknown(f"'{shown(tenant)}' is not a tenant id; use {TENANT_RULE} (ids are never converted)")
    return str.__str__(tenant)  # an exact str: a subclass may hash, compare and print as it likes


def check_key(key: object) -> str:
    """Return a key that can be stored, as it is; raises KeyInvalid."""
    return _text(key, "key", MAX_KEY)


def check_keys(keys: object) -> list[str]:
    """Return what was given as several keys, in order, each once; raises KeyInvalid. A text is one key, not a list of letters.

    Each of them is left to ``check_key``: who finds it in memory has no need of that.
    """
    if isinstance(keys, str | bytes | bytearray) or not isinstance(keys, Iterable):
        raise KeyInvalid(f'several keys must come as a list of str, got {type(keys).__name__}; pass ["…"]')
    listed = cast("list[str]", list(cast("Iterable[object]", keys)))
    try:
        return list(dict.fromkeys(listed))
    except TypeError:
        return listed  # one of them is no text: ``check_key`` says so


def check_namespace(namespace: object) -> str:
    """Return a namespace that can be stored, as it is; raises KeyInvalid."""
    text = _text(namespace, "namespace", MAX_NAMESPACE)
    if text[0] == "@":
        raise KeyInvalid("a namespace may not start with '@': those names are the cache's own; choose another first character")
    return text


def check_tag(tag: object) -> str:
    """Return a tag that can be stored, as it is; raises KeyInvalid."""
    text = _text(tag, "tag", MAX_TAG)
    if text[0] == "@":
        raise KeyInvalid("a tag may not start with '@': those names are the cache's own; choose another first character")
    return text


def check_tags(tags: object, *, limit: int = MAX_TAGS) -> tuple[str, ...]:
    """Return the tags of an entry, each once, in the order given; raises KeyInvalid. None is no tags.

    An invalidation may name more of them than an entry has: its ``limit`` is MAX_INVALIDATED.
    """
    if not tags:
        return ()
    if isinstance(tags, str | bytes | bytearray) or not isinstance(tags, Iterable):
        raise KeyInvalid(f'tags must be a list of str, got {type(tags).__name__}; pass tags=["…"]')
    found = tuple(dict.fromkeys(check_tag(tag) for tag in cast("Iterable[object]", tags)))
    if len(found) > limit:
        whose = "an entry has" if limit == MAX_TAGS else "one call takes"
        raise KeyInvalid(f"{whose} at most {limit} tags, got {len(found)}; tag by group instead of by member")
    return found


def check_ttl(ttl: object) -> float | None:
    """Return a lifetime in seconds, or None (for ever); raises TTLInvalid. 0 means already expired."""
    return _seconds(ttl, "ttl", nothing="already expired", none="for ever")


def check_stale_ttl(ttl: object) -> float:
    """Return the seconds in which a value is stale after its ttl, 0 for None; raises TTLInvalid."""
    return _seconds(ttl, "stale_ttl", nothing="none", none="none") or 0.0


def named(key: str) -> str:
    """Return what a message says of a key: what it is, and never the key."""
    return f"a key of length {len(key)}"


def _seconds(value: object, what: str, *, nothing: str, none: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TTLInvalid(f"a {what} must be a number of seconds or None ({none}), got {type(value).__name__}")
    if not 0 <= value <= MAX_TTL:  # NaN compares false
        raise TTLInvalid(f"a {what} must be from 0 ({nothing}) to {MAX_TTL:.0f} seconds, got {_number(value)}; None is {none}")
    return float(value)


def _number(value: float) -> str:
    # Python refuses to print an integer of very many digits, and nobody wants to read it.
    return "a number beyond 64 bits" if isinstance(value, int) and abs(value) >= 2**63 else f"{value:g}"


def _text(value: object, what: str, limit: int) -> str:
    if not isinstance(value, str):
        raise KeyInvalid(f"a {what} must be str, got {type(value).__name__}; convert it first, str(…) or .decode()")
    if not 0 < len(value) <= limit:
        remedy = "hash what is longer" if value else "an empty one names nothing"
        raise KeyInvalid(f"a {what} must have 1 to {limit} characters, got {len(value)}; {remedy}")
    if not value.isascii() and _SURROGATE.search(value) is not None:
        raise KeyInvalid(f"a {what} has a lone surrogate, which no store can keep; decode its bytes with errors='strict'")
    return str.__str__(value)  # an exact str: a subclass may hash, compare and print as it likes
