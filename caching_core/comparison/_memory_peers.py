"""Caches in the memory of one process: the least that a cache can cost, and those people use."""

from importlib import import_module
from pathlib import Path
from time import monotonic

from caching_core.comparison._peer import Opened, Peer

_TTL = 300
_CAPACITY = 1_000_000


class Reference:
    """Dict lookup, clock, expiry compare in plain Python: what any cache with lifetimes pays per hit (REF)."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[str, tuple[object, float]] = {}

    def get(self, key: str, default: object = None) -> object:
        """Return the value while it lives."""
        try:
            value, until = self._entries[key]
        except KeyError:
            return default
        return value if until > monotonic() else default

    def put(self, key: str, value: object) -> None:
        """Keep the value for five minutes."""
        self._entries[key] = (value, monotonic() + _TTL)


def _open_reference(_directory: Path) -> Opened:
    reference = Reference()
    return Opened(reference.get, reference.put, lambda: None)


def _open_dict(_directory: Path) -> Opened:
    entries: dict[str, object] = {}
    return Opened(entries.get, entries.__setitem__, entries.clear)


def _open_dogpile(_directory: Path) -> Opened:
    region = import_module("dogpile.cache").make_region().configure("dogpile.cache.memory", expiration_time=_TTL)
    return Opened(region.get, region.set, lambda: None)


def _open_cachetools(_directory: Path) -> Opened:
    cache = import_module("cachetools").TTLCache(maxsize=_CAPACITY, ttl=_TTL)
    return Opened(cache.get, cache.__setitem__, cache.clear)


def _open_cachebox(_directory: Path) -> Opened:
    cache = import_module("cachebox").LRUCache(_CAPACITY)
    return Opened(cache.get, cache.insert, cache.clear)


def _open_locmem(_directory: Path) -> Opened:
    backend = import_module("django.core.cache.backends.locmem").LocMemCache
    cache = backend("caching-benchmark", {"TIMEOUT": _TTL, "OPTIONS": {"MAX_ENTRIES": _CAPACITY}})
    return Opened(cache.get, cache.set, cache.clear)


MEMORY_PEERS = (
    Peer("dogpile", "dogpile memory", "dogpile.cache", "dogpile.cache", _open_dogpile),
    Peer("ref", "REF", "time", None, _open_reference),
    Peer("dict", "bare dict", "builtins", None, _open_dict),
    Peer("cachetools", "cachetools TTLCache", "cachetools", "cachetools", _open_cachetools),
    Peer("cachebox", "cachebox LRU", "cachebox", "cachebox", _open_cachebox),
    Peer("locmem", "Django LocMem", "django", "django", _open_locmem),
)
