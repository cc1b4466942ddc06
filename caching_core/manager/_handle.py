"""The handle of one tenant and namespace for event-loop callers: the fast way to the cache."""

from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any, Unpack

from caching_core.config import glob
from caching_core.engine import BoundHandle, Explanation, KeyPage, Lifetime, Request, Seen, WriteOptions, checked, usual_writing
from caching_core.events import PatternDeleted
from caching_core.tenancy import check_key, check_keys
from caching_core.types import MISSING, UNSET, Invalidated, Unset


class TenantCache(BoundHandle):
    """The cache of one tenant and namespace. Make it with ``manager.tenant(id)``; keep it, it is cheap to use and thread-safe.

    Values come back as the caller's own: a list or dict may be changed without changing the cache. ``None``, ``False``,
    ``0`` and ``""`` are values; a miss is the ``default``. Reads never raise for faults of the store (``strict`` excepted).
    """

    __slots__ = ()

    async def get(self, key: str, default: Any = None) -> Any:
        """Return the value under ``key``, or ``default``. Raises KeyInvalid."""
        try:
            entry = self._entries[key]
        except KeyError:
            pass
        except TypeError:  # no hash: a str subclass may be without one, anything else is no key
            return await self.get(check_key(key), default)
        else:
            if (entry.until > monotonic() and self._view[entry.lane] == entry.seen) or self._again(key, entry):
                entry.n += 1
                thaw = entry.thaw
                return entry.value if thaw is None else thaw(entry.value)
        reader = self._reader
        value = reader.get_at_once(self._scope, key, default)
        if value is MISSING:
            return await reader.get(self._scope, key, default)
        return value if type(value) is not Seen else await reader.get(self._scope, key, default, value)

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the values that exist among ``keys``, in one trip below L1. Duplicates count once."""
        found, missing = self._from_memory(check_keys(keys))
        if missing:
            found.update(await self._engine.read.get_many(self._scope, missing))
        return found

    async def get_or_set(self, key: str, loader: Callable[[], Any], **options: Unpack[WriteOptions]) -> Any:
        """Return the value under ``key``; on a miss load it with ``loader()``, once for all callers of this host, and keep it.

        ``loader`` is a plain function or returns an awaitable; what it raises goes to all who wait. What it returns must be a
        value that can be kept (ValueNotKept, ValueTooLarge). Bad options are refused whether it is loaded or not.
        """
        if options:
            options = checked(self._engine.state, options)
        try:
            entry = self._entries[key]
        except KeyError:
            pass
        except TypeError:  # as in get
            return await self.get_or_set(check_key(key), loader, **options)
        else:
            if (entry.until > monotonic() and self._view[entry.lane] == entry.seen) or self._again(key, entry):
                entry.n += 1
                return entry.value if entry.thaw is None else entry.thaw(entry.value)
        value = self._reader.get_at_once(self._scope, key)
        seen = value if type(value) is Seen else None
        if value is not MISSING and seen is None:
            return value
        engine, key = self._engine, check_key(key)
        loading = Request(**options).loading(engine.state, self._scope, key, loader)
        return await engine.load.get_or_set(self._scope, key, loading, seen)

    async def set(self, key: str, value: Any, **options: Unpack[WriteOptions]) -> bool:
        """Store a value; False if it was skipped: the store is full, and the old value gone; or it is away.

        Of a store on this host the old value is gone then, too. A server that is away keeps it, for others and for later: only
        this host's memory has forgotten it, and ``delete`` would say ``pending``.

        Raises KeyInvalid, TTLInvalid, ValueNotKept, ValueTooLarge before anything is written.
        """
        engine = self._engine
        usual = usual_writing(engine.state, options)
        if usual is not None and engine.write.set_at_once(self._scope, key, value, usual):
            return True
        writing = Request(**options).writing(engine.state, self._scope, check_key(key), value)
        return await engine.write.set(self._scope, key, value, writing)

    async def set_many(self, values: Mapping[str, Any], **options: Unpack[WriteOptions]) -> list[str]:
        """Store several values in one step, all or none; returns the keys that were skipped, as ``set`` does."""
        engine, request = self._engine, Request(**options)
        return await engine.write.set_many(self._scope, values, lambda key, value: request.writing(engine.state, self._scope, key, value))

    async def add(self, key: str, value: Any, **options: Unpack[WriteOptions]) -> bool:
        """Store a value unless one is there; whether it was stored. Atomic between processes."""
        engine = self._engine
        writing = Request(**options).writing(engine.state, self._scope, check_key(key), value)
        return await engine.change.add(self._scope, key, value, writing)

    async def delete(self, key: str) -> Invalidated:
        """Remove a key: no read of this host that starts after this returns sees its value. True if it was there."""
        return await self._engine.invalidate.delete_many(self._scope, (key,))

    async def delete_many(self, keys: Iterable[str]) -> Invalidated:
        """Remove several keys in one step; ``count`` says how many were there."""
        return await self._engine.invalidate.delete_many(self._scope, check_keys(keys))

    async def invalidate_tags(self, *tags: str) -> Invalidated:
        """Invalidate every entry of the tenant that bears one of ``tags``; the cost does not depend on how many they are."""
        return await self._engine.invalidate.invalidate_tags(self._scope, tags)

    async def clear(self) -> Invalidated:
        """Invalidate everything of this tenant in this namespace; other tenants and namespaces stay."""
        return await self._engine.invalidate.clear(self._scope)

    async def touch(self, key: str, ttl: float | Unset | None = UNSET) -> bool:
        """Give the value under ``key`` a new lifetime from now on; whether it was there."""
        engine, key = self._engine, check_key(key)
        return await engine.change.relive(self._scope, key, Request(ttl=ttl).life(engine.state, self._scope, key))

    async def persist(self, key: str) -> bool:
        """Let the value under ``key`` live for ever; whether it was there."""
        return await self._engine.change.relive(self._scope, key, Lifetime(None, None))

    async def ttl(self, key: str) -> float | None:
        """Return the seconds that the value under ``key`` has left; infinity for ever, None if there is no value."""
        life = await self._engine.change.remaining(self._scope, key)
        if life is None:
            return None
        left = life.hard_ms if life.soft_ms is None else life.soft_ms
        return float("inf") if left is None else left / 1000

    async def incr(self, key: str, delta: int = 1, *, initial: int | None = 0, ttl: float | Unset | None = UNSET) -> int | None:
        """Add ``delta`` to the integer under ``key``, atomically, and return the sum; its lifetime stays.

        A missing one starts at ``initial`` with lifetime ``ttl``; with ``initial=None`` it stays missing and None is returned.
        """
        engine, key = self._engine, check_key(key)
        writing = Request(ttl=ttl).writing(engine.state, self._scope, key, initial)
        return await engine.change.incr(self._scope, key, delta, initial=initial, writing=writing)

    async def decr(self, key: str, delta: int = 1, *, initial: int | None = 0, ttl: float | Unset | None = UNSET) -> int | None:
        """Subtract ``delta``; as ``incr``."""
        return await self.incr(key, -delta if type(delta) is int else delta, initial=initial, ttl=ttl)

    async def key_page(self, pattern: str = "*", *, after: str = "", limit: int = 500) -> KeyPage:
        """Return the keys that fit ``pattern`` (``*`` and ``?`` are wild) among the next ``limit`` entries; costs a read for each.

        Start with ``after`` empty and go on with that of the page, until it is None. Raises TierUnavailable.
        """
        return await self._engine.listing.keys(self._scope, glob(pattern), after=after, limit=limit)

    async def delete_pattern(self, pattern: str) -> Invalidated:
        """Remove the keys that fit ``pattern``, page by page; ``count`` says how many were there. For groups, tags cost less."""
        count, after = 0, ""
        while True:
            page = await self.key_page(pattern, after=after)
            if page.keys:
                count += (await self.delete_many(page.keys)).count
            if page.after is None:
                break
            after = page.after
        scope = self._scope
        self._engine.state.hooks.emit(PatternDeleted(scope.tenant, scope.namespace, count))
        return Invalidated(count)

    async def namespaces(self, beginning: str = "") -> list[str]:
        """Return the tenant's namespaces that begin so and hold entries, or that this process has used."""
        return await self._engine.listing.namespaces(self._scope.tenant, beginning)

    async def explain(self, key: str) -> Explanation:
        """Return which level holds the value, how it is kept and for how long; or why it is a miss."""
        return await self._engine.explain.explain(self._scope, key)
