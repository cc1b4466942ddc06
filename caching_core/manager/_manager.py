"""The manager for event-loop callers."""

from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, Unpack

from caching_core.assembly import Instance
from caching_core.engine import Explanation, WriteOptions
from caching_core.insight import CacheStats, Health
from caching_core.manager._handle import TenantCache
from caching_core.manager._opened import OpenedManager
from caching_core.types import UNSET, Invalidated, Unset


class CacheManager(OpenedManager[TenantCache]):
    """The cache for event-loop callers; made from a mapping, a CacheConfig or nothing.

    The mapping holds flat keys, groups, or both. The cache is opened on first use or by ``start()``;
    managers with equal settings share one engine in a process. ``start()`` raises where keys or store cannot be had; a first
    use does not (but for ``strict``): reads miss then, writes and deletes raise TierUnavailable, until it can be opened.
    ``tenant(id)`` gives a bound handle, the fast way; the verbs here take ``tenant_id`` per call and are the handle's otherwise.
    """

    async def start(self) -> Self:
        """Open the cache now instead of at the first call. Raises ConfigInvalid, KeyUnavailable, TierUnavailable (try again)."""
        self._reopen()
        return self

    async def close(self) -> None:
        """Give back what the cache holds: threads, connections, memory. The last of equal managers closes the engine.

        Handles that are kept raise CacheError from now on; after ``start()`` take new ones.
        """
        self._close()

    async def __aenter__(self) -> Self:
        """Open the cache."""
        return await self.start()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the cache."""
        await self.close()

    def _bind(self, instance: Instance, tenant: str, namespace: str) -> TenantCache:
        return TenantCache(instance.loop, tenant, namespace)

    async def get(self, key: str, default: Any = None, *, tenant_id: str | None = None, namespace: str | None = None) -> Any:
        """Return the value under ``key``, or ``default``."""
        return await self.tenant(tenant_id, namespace=namespace).get(key, default)

    async def get_many(self, keys: Iterable[str], *, tenant_id: str | None = None, namespace: str | None = None) -> dict[str, Any]:
        """Return the values that exist among ``keys``."""
        return await self.tenant(tenant_id, namespace=namespace).get_many(keys)

    async def get_or_set(
        self,
        key: str,
        loader: Callable[[], Any],
        *,
        tenant_id: str | None = None,
        namespace: str | None = None,
        **options: Unpack[WriteOptions],
    ) -> Any:
        """Return the value under ``key``, loading it once for all callers of this host if nobody has it."""
        return await self.tenant(tenant_id, namespace=namespace).get_or_set(key, loader, **options)

    async def set(
        self, key: str, value: Any, *, tenant_id: str | None = None, namespace: str | None = None, **options: Unpack[WriteOptions]
    ) -> bool:
        """Store a value; False if it was skipped."""
        return await self.tenant(tenant_id, namespace=namespace).set(key, value, **options)

    async def set_many(
        self, values: Mapping[str, Any], *, tenant_id: str | None = None, namespace: str | None = None, **options: Unpack[WriteOptions]
    ) -> list[str]:
        """Store several values in one step; returns the keys that were skipped."""
        return await self.tenant(tenant_id, namespace=namespace).set_many(values, **options)

    async def add(
        self, key: str, value: Any, *, tenant_id: str | None = None, namespace: str | None = None, **options: Unpack[WriteOptions]
    ) -> bool:
        """Store a value unless one is there; whether it was stored."""
        return await self.tenant(tenant_id, namespace=namespace).add(key, value, **options)

    async def delete(self, key: str, *, tenant_id: str | None = None, namespace: str | None = None) -> Invalidated:
        """Remove a key; True if it was there."""
        return await self.tenant(tenant_id, namespace=namespace).delete(key)

    async def delete_many(self, keys: Iterable[str], *, tenant_id: str | None = None, namespace: str | None = None) -> Invalidated:
        """Remove several keys in one step."""
        return await self.tenant(tenant_id, namespace=namespace).delete_many(keys)

    async def invalidate_tags(self, *tags: str, tenant_id: str | None = None) -> Invalidated:
        """Invalidate every entry of the tenant that bears one of ``tags``."""
        return await self.tenant(tenant_id).invalidate_tags(*tags)

    async def clear(self, *, tenant_id: str | None = None, namespace: str | None = None) -> Invalidated:
        """Invalidate everything of the tenant in the namespace."""
        return await self.tenant(tenant_id, namespace=namespace).clear()

    async def clear_all(self) -> Invalidated:
        """Invalidate everything of every tenant and namespace, on all levels; recorded in the audit log."""
        opened = self._opened()
        return await self._clear_all(opened, opened.loop.store)

    async def touch(
        self, key: str, ttl: float | Unset | None = UNSET, *, tenant_id: str | None = None, namespace: str | None = None
    ) -> bool:
        """Give a value a new lifetime from now on; whether it was there."""
        return await self.tenant(tenant_id, namespace=namespace).touch(key, ttl)

    async def persist(self, key: str, *, tenant_id: str | None = None, namespace: str | None = None) -> bool:
        """Let a value live for ever; whether it was there."""
        return await self.tenant(tenant_id, namespace=namespace).persist(key)

    async def ttl(self, key: str, *, tenant_id: str | None = None, namespace: str | None = None) -> float | None:
        """Return the seconds a value has left; infinity for ever, None if there is no value."""
        return await self.tenant(tenant_id, namespace=namespace).ttl(key)

    async def incr(
        self,
        key: str,
        delta: int = 1,
        *,
        tenant_id: str | None = None,
        namespace: str | None = None,
        initial: int | None = 0,
        ttl: float | Unset | None = UNSET,
    ) -> int | None:
        """Add to the integer under ``key``, atomically, and return the sum."""
        return await self.tenant(tenant_id, namespace=namespace).incr(key, delta, initial=initial, ttl=ttl)

    async def decr(
        self,
        key: str,
        delta: int = 1,
        *,
        tenant_id: str | None = None,
        namespace: str | None = None,
        initial: int | None = 0,
        ttl: float | Unset | None = UNSET,
    ) -> int | None:
        """Subtract from the integer under ``key``, atomically, and return the difference."""
        return await self.tenant(tenant_id, namespace=namespace).decr(key, delta, initial=initial, ttl=ttl)

    async def explain(self, key: str, *, tenant_id: str | None = None, namespace: str | None = None) -> Explanation:
        """Return which level holds a value and how it is kept, or why it is a miss."""
        return await self.tenant(tenant_id, namespace=namespace).explain(key)

    async def stats(self) -> CacheStats:
        """Return the figures of this process and of the store it shares."""
        opened = self._opened()
        return await opened.stats(opened.loop.store)

    async def health(self) -> Health:
        """Return whether each level of the cache answers; the deadline of a level bounds the wait for it."""
        opened = self._opened()
        return await opened.health(opened.loop.store)
