"""The handle of one tenant and namespace for blocking callers: the async handle's verbs, each driven in one step."""

from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any, Unpack

from caching_core.engine import BoundHandle, Explanation, KeyPage, MultiLevelCache, Seen, WriteOptions, usual_writing
from caching_core.manager import TenantCache
from caching_core.runtime import run_sync
from caching_core.tenancy import check_key
from caching_core.types import MISSING, UNSET, Invalidated, Unset


class SyncTenantCache(BoundHandle):
    """The cache of one tenant and namespace. Make it with ``manager.tenant(id)``; keep it, it is cheap to use and thread-safe.

    Every method does what TenantCache's method of the same name does, and blocks.
    """

    __slots__ = ("_verbs",)

    def __init__(self, engine: MultiLevelCache, tenant: str, namespace: str) -> None:
        super().__init__(engine, tenant, namespace)
        self._verbs = TenantCache(engine, tenant, namespace)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value under ``key``, or ``default``. Raises KeyInvalid."""
        try:
            entry = self._entries[key]
        except KeyError:
            pass
        except TypeError:  # no hash: a str subclass may be without one, anything else is no key
            return self.get(check_key(key), default)
        else:
            if (entry.until > monotonic() and self._view[entry.lane] == entry.seen) or self._again(key, entry):
                entry.n += 1
                thaw = entry.thaw
                return entry.value if thaw is None else thaw(entry.value)
        reader = self._reader
        value = reader.get_at_once(self._scope, key, default)
        if value is MISSING:
            return run_sync(reader.get(self._scope, key, default))
        return value if type(value) is not Seen else run_sync(reader.get(self._scope, key, default, value))

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the values that exist among ``keys``, in one trip below L1."""
        return run_sync(self._verbs.get_many(keys))

    def get_or_set(self, key: str, loader: Callable[[], Any], **options: Unpack[WriteOptions]) -> Any:
        """Return the value under ``key``; on a miss load it with ``loader()``, once for all callers of this host, and keep it."""
        return run_sync(self._verbs.get_or_set(key, loader, **options))

    def set(self, key: str, value: Any, **options: Unpack[WriteOptions]) -> bool:
        """Store a value; False if it was skipped because the store is away or full."""
        engine = self._engine
        writing = usual_writing(engine.state, options)
        if writing is not None and engine.write.set_at_once(self._scope, key, value, writing):
            return True
        return run_sync(self._verbs.set(key, value, **options))

    def set_many(self, values: Mapping[str, Any], **options: Unpack[WriteOptions]) -> list[str]:
        """Store several values in one step, all or none; returns the keys that were skipped."""
        return run_sync(self._verbs.set_many(values, **options))

    def add(self, key: str, value: Any, **options: Unpack[WriteOptions]) -> bool:
        """Store a value unless one is there; whether it was stored."""
        return run_sync(self._verbs.add(key, value, **options))

    def delete(self, key: str) -> Invalidated:
        """Remove a key; True if it was there."""
        return run_sync(self._verbs.delete(key))

    def delete_many(self, keys: Iterable[str]) -> Invalidated:
        """Remove several keys in one step; ``count`` says how many were there."""
        return run_sync(self._verbs.delete_many(keys))

    def invalidate_tags(self, *tags: str) -> Invalidated:
        """Invalidate every entry of the tenant that bears one of ``tags``."""
        return run_sync(self._verbs.invalidate_tags(*tags))

    def clear(self) -> Invalidated:
        """Invalidate everything of this tenant in this namespace."""
        return run_sync(self._verbs.clear())

    def touch(self, key: str, ttl: float | Unset | None = UNSET) -> bool:
        """Give the value under ``key`` a new lifetime from now on; whether it was there."""
        return run_sync(self._verbs.touch(key, ttl))

    def persist(self, key: str) -> bool:
        """Let the value under ``key`` live for ever; whether it was there."""
        return run_sync(self._verbs.persist(key))

    def ttl(self, key: str) -> float | None:
        """Return the seconds that the value under ``key`` has left; infinity for ever, None if there is no value."""
        return run_sync(self._verbs.ttl(key))

    def incr(self, key: str, delta: int = 1, *, initial: int | None = 0, ttl: float | Unset | None = UNSET) -> int | None:
        """Add ``delta`` to the integer under ``key``, atomically, and return the sum."""
        return run_sync(self._verbs.incr(key, delta, initial=initial, ttl=ttl))

    def decr(self, key: str, delta: int = 1, *, initial: int | None = 0, ttl: float | Unset | None = UNSET) -> int | None:
        """Subtract ``delta``; as ``incr``."""
        return run_sync(self._verbs.decr(key, delta, initial=initial, ttl=ttl))

    def key_page(self, pattern: str = "*", *, after: str = "", limit: int = 500) -> KeyPage:
        """Return the keys that fit ``pattern`` (``*`` and ``?`` are wild) among the next ``limit`` entries."""
        return run_sync(self._verbs.key_page(pattern, after=after, limit=limit))

    def delete_pattern(self, pattern: str) -> Invalidated:
        """Remove the keys that fit ``pattern``; ``count`` says how many were there."""
        return run_sync(self._verbs.delete_pattern(pattern))

    def namespaces(self, beginning: str = "") -> list[str]:
        """Return the tenant's namespaces that begin so and hold entries, or that this process has used."""
        return run_sync(self._verbs.namespaces(beginning))

    def explain(self, key: str) -> Explanation:
        """Return which level holds the value, how it is kept and for how long; or why it is a miss."""
        return run_sync(self._verbs.explain(key))
