"""What a run tests: a cache behind one small interface, so that broken ones can be put in its place."""

import importlib
import importlib.util
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, Protocol

from caching_core.manager import CacheManager, TenantCache
from caching_core.sync import SyncCacheManager, SyncTenantCache
from caching_core.testing.history._plan import Plan


class Handle(Protocol):
    """A tenant's cache, as the sessions call it; the methods are those of ``TenantCache``. Values are dicts, and ints under counters."""

    async def get(self, key: str) -> Any:
        """Return the value, or None."""
        ...

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the values that exist."""
        ...

    async def get_or_set(self, key: str, loader: Callable[[], Any], *, ttl: float, tags: list[str]) -> Any:
        """Return the value, loaded if need be."""
        ...

    async def set(self, key: str, value: Any, *, ttl: float, tags: list[str]) -> object:
        """Store a value."""
        ...

    async def touch(self, key: str, ttl: float) -> bool:
        """Give the value another lifetime; whether it was there."""
        ...

    async def persist(self, key: str) -> bool:
        """Let the value live for ever; whether it was there."""
        ...

    async def incr(self, key: str, delta: int = 1, *, ttl: float | None) -> int | None:
        """Add to a counter, which starts at 0, and return the sum."""
        ...

    async def decr(self, key: str, delta: int = 1, *, ttl: float | None) -> int | None:
        """Subtract from a counter."""
        ...

    async def delete(self, key: str) -> object:
        """Remove a key."""
        ...

    async def invalidate_tags(self, *tags: str) -> object:
        """Invalidate what bears a tag."""
        ...

    async def clear(self) -> object:
        """Invalidate the namespace."""
        ...


class Subject(Protocol):
    """A cache of this process, in one world."""

    def handle(self, tenant: str, namespace: str) -> Handle:
        """Return the cache of a tenant and namespace."""
        ...

    async def close(self) -> dict[str, Any]:
        """Close it and return figures worth showing."""
        ...


class BlockingHandle:
    """A blocking handle, called like the other."""

    __slots__ = ("_cache",)

    def __init__(self, cache: SyncTenantCache) -> None:
        self._cache = cache

    async def get(self, key: str) -> Any:
        """Return the value, or None."""
        return self._cache.get(key)

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the values that exist."""
        return self._cache.get_many(keys)

    async def get_or_set(self, key: str, loader: Callable[[], Any], *, ttl: float, tags: list[str]) -> Any:
        """Return the value, loaded if need be."""
        return self._cache.get_or_set(key, loader, ttl=ttl, tags=tags)

    async def set(self, key: str, value: Any, *, ttl: float, tags: list[str]) -> object:
        """Store a value."""
        return self._cache.set(key, value, ttl=ttl, tags=tags)

    async def touch(self, key: str, ttl: float) -> bool:
        """Give the value another lifetime; whether it was there."""
        return self._cache.touch(key, ttl)

    async def persist(self, key: str) -> bool:
        """Let the value live for ever; whether it was there."""
        return self._cache.persist(key)

    async def incr(self, key: str, delta: int = 1, *, ttl: float | None) -> int | None:
        """Add to a counter, which starts at 0, and return the sum."""
        return self._cache.incr(key, delta, ttl=ttl)

    async def decr(self, key: str, delta: int = 1, *, ttl: float | None) -> int | None:
        """Subtract from a counter."""
        return self._cache.decr(key, delta, ttl=ttl)

    async def delete(self, key: str) -> object:
        """Remove a key."""
        return self._cache.delete(key)

    async def invalidate_tags(self, *tags: str) -> object:
        """Invalidate what bears a tag."""
        return self._cache.invalidate_tags(*tags)

    async def clear(self) -> object:
        """Invalidate the namespace."""
        return self._cache.clear()


class BlockingSubject:
    """The cache itself, for threads."""

    def __init__(self, plan: Plan) -> None:
        self._manager = SyncCacheManager(settings_of(plan)).start()

    def handle(self, tenant: str, namespace: str) -> BlockingHandle:
        """Return the cache of a tenant and namespace."""
        return BlockingHandle(self._manager.tenant(tenant, namespace=namespace))

    async def close(self) -> dict[str, Any]:
        """Close it and return its figures."""
        figures = self._manager.stats()
        self._manager.close()
        return figures.as_dict()


class LoopSubject:
    """The cache itself, for an event loop."""

    def __init__(self, plan: Plan) -> None:
        self._manager = CacheManager(settings_of(plan))

    def handle(self, tenant: str, namespace: str) -> TenantCache:
        """Return the cache of a tenant and namespace."""
        return self._manager.tenant(tenant, namespace=namespace)

    async def close(self) -> dict[str, Any]:
        """Close it and return its figures."""
        figures = await self._manager.stats()
        await self._manager.close()
        return figures.as_dict()


def settings_of(plan: Plan) -> dict[str, Any]:
    """Return the settings of the cache that a plan tests; its directory stands in the run's."""
    return {"directory": str(Path(plan.directory) / "cache"), **plan.config}


def open_cache(plan: Plan, world: Literal["blocking", "loop"]) -> BlockingSubject | LoopSubject:
    """Open the cache as it is."""
    return LoopSubject(plan) if world == "loop" else BlockingSubject(plan)


def open_subject(plan: Plan, world: Literal["blocking", "loop"]) -> Subject:
    """Open what the plan's ``subject`` names."""
    where, _, name = plan.subject.rpartition(":")
    if where.endswith(".py"):
        spec = importlib.util.spec_from_file_location("history_subject", where)
        if spec is None or spec.loader is None:
            raise ImportError(f"{where} cannot be imported; name a Python file")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(where)
    subject: Subject = getattr(module, name)(plan, world)
    return subject
