"""Clients of one Redis or Valkey server, none of which encrypts. The suite leaves the server's address where they are opened."""

from importlib import import_module
from pathlib import Path
from typing import Any, Final

import ormsgpack

from caching_core.comparison._peer import Opened, Peer

ADDRESS_FILE: Final = "address"
_TTL: Final = 300


def _open_raw(directory: Path) -> Opened:
    client: Any = import_module("redis").Redis.from_url(_address(directory))  # Any: redis-py's own results

    def get(key: str) -> object:
        found = client.get(key)
        return None if found is None else ormsgpack.unpackb(found)

    def put(key: str, value: object) -> None:
        client.set(key, ormsgpack.packb(value), ex=_TTL)

    return Opened(get, put, client.close)


def _open_django_redis(directory: Path) -> Opened:
    _settle_django()
    backend: Any = import_module("django_redis.cache").RedisCache  # Any: it has no types
    cache = backend(_address(directory), {"TIMEOUT": _TTL, "KEY_PREFIX": "django_redis"})
    return Opened(cache.get, cache.set, cache.close)


def _open_django(directory: Path) -> Opened:
    _settle_django()
    cache = import_module("django.core.cache.backends.redis").RedisCache(_address(directory), {"TIMEOUT": _TTL, "KEY_PREFIX": "django"})
    return Opened(cache.get, cache.set, cache.close)


def _settle_django() -> None:
    settings = import_module("django.conf").settings
    if not settings.configured:
        settings.configure()


def _address(directory: Path) -> str:
    return (directory / ADDRESS_FILE).read_text(encoding="utf-8")


REDIS_PEERS = (
    Peer("redis-py", "redis-py + msgpack", "redis", "redis", _open_raw),
    Peer("django-redis", "django-redis", "django_redis", "django-redis", _open_django_redis),
    Peer("django-rediscache", "Django RedisCache", "django", "django", _open_django),
)
