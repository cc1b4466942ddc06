"""The backend of ``CACHES``: Django's verbs, blocking and native asynchronous, over the handles of the core."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache, default_key_func

from caching_core import SyncTenantCache, TenantCache
from caching_core.tenancy import current_tenant
from caching_core.types import MISSING
from caching_django._fetching import fetch
from caching_django._keys import CUSTOM, VERSION_MARK, check_prefix, is_portable, namespace_of
from caching_django._lifetimes import Timeout, left_of, seconds_of, until
from caching_django._shared import SharedCache, shared_cache

# Django ships no annotations, so its base class is of any type, and so are the values that are cached.
# mypy: disable-error-code="misc"


class TieredCache(BaseCache):
    """The cache of one alias. Django makes one per thread and task; all with equal settings share what they hold.

    Beside Django's verbs: ``tags`` and ``stale_ttl`` where a value is stored, ``invalidate_tags``, and what users of
    django-redis call: ``ttl pttl expire pexpire expire_at persist keys iter_keys delete_pattern set(nx=)``.
    ``manager`` and ``loop_manager`` lead to everything else. Wrong settings are a system check's to tell, and raise
    ConfigInvalid at the first use.
    """

    def __init__(self, location: object, params: Mapping[str, Any]) -> None:
        # Handles of the alias's own namespace by tenant; empty until they are asked for, and where each key needs a look.
        self._near: dict[str | None, SyncTenantCache] = {}
        self._near_loop: dict[str | None, TenantCache] = {}
        self._settings = (location, params)
        self._found: SharedCache | None = None
        super().__init__(params)
        kind = type(self)
        self._looks_at_keys = kind.validate_key is not BaseCache.validate_key or kind.make_key is not BaseCache.make_key
        self._zero = self.default_timeout is not None and self.default_timeout <= 0

    # -- where a key stands --------------------------------------------------------------------

    def __setattr__(self, name: str, value: object) -> None:
        """Take an attribute; what decides where keys stand makes the handles be looked up anew."""
        object.__setattr__(self, name, value)
        if name in {"key_prefix", "version", "key_func"}:
            self._near, self._near_loop = {}, {}

    @property
    def shared(self) -> SharedCache:
        """Return what this alias shares in this process. Raises ConfigInvalid."""
        if self._found is None:
            self._found = shared_cache(*self._settings)
        return self._found

    @property
    def manager(self) -> Any:
        """Return the blocking manager of the core."""
        return self.shared.manager

    @property
    def loop_manager(self) -> Any:
        """Return the core's manager for event loops."""
        return self.shared.loop_manager

    @property
    def own_namespace(self) -> str:
        """Return the namespace of version 1 of this alias."""
        if self._is_custom:
            return self.shared.config.namespace + CUSTOM
        return check_prefix(self.key_prefix) or self.shared.config.namespace

    @property
    def _is_custom(self) -> bool:
        return self.key_func is not default_key_func or type(self).make_key is not BaseCache.make_key

    def namespace(self, version: object = None) -> str:
        """Return the namespace in which the keys of a version stand."""
        own = self.own_namespace
        return own if self._is_custom else namespace_of(own, self.version if version is None else version)

    def _handle(self, version: object) -> SyncTenantCache:
        namespace = self.namespace(version)
        handles = self.shared.blocking(namespace)
        if version is None and not self._is_custom and not self._looks_at_keys:
            self._near = handles
        return handles.get(current_tenant()) or self.shared.bind(namespace)

    def _loop_handle(self, version: object) -> TenantCache:
        namespace = self.namespace(version)
        handles = self.shared.loop(namespace)
        if version is None and not self._is_custom and not self._looks_at_keys:
            self._near_loop = handles
        return handles.get(current_tenant()) or self.shared.bind_loop(namespace)

    def _key(self, key: object, version: object) -> str:
        """Return the key as the core has it, after Django's warnings on it."""
        if self._is_custom:
            made: str = self.make_and_validate_key(key, version=version)
            return made
        text = key if type(key) is str else str(key)
        extra = len(self.key_prefix) + len(str(self.version if version is None else version)) + 2
        if self._looks_at_keys or not is_portable(text, extra):
            self.validate_key(self.make_key(text, version=version))
        return text

    def _keys(self, keys: Iterable[Any], version: object) -> dict[str, Any]:
        """Return the keys as the core has them, each with what the caller calls it."""
        return {self._key(key, version): key for key in keys}

    def _options(self, timeout: Timeout, tags: Iterable[str], stale_ttl: float | None) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if timeout is not DEFAULT_TIMEOUT:
            options["ttl"] = seconds_of(timeout)
        elif self._zero:
            options["ttl"] = 0
        if tags:
            options["tags"] = tags
        if stale_ttl is not None:
            options["stale_ttl"] = stale_ttl
        return options

    # -- blocking ------------------------------------------------------------------------------

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        """Return the value under ``key``, or ``default``."""
        if version is None:
            try:
                value = self._near[current_tenant()].peek(key)
            except KeyError:
                pass
            else:
                if value is not MISSING:
                    return value
        return self._handle(version).get(self._key(key, version), default)

    def set(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None, *,
        tags: Iterable[str] = (), stale_ttl: float | None = None, nx: bool = False,
    ) -> bool:  # fmt: skip
        """Store a value; with ``nx`` only if none is there. False if it was not stored."""
        handle, name = self._handle(version), self._key(key, version)
        options = self._options(timeout, tags, stale_ttl)
        return handle.add(name, value, **options) if nx else handle.set(name, value, **options)

    def add(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None, *,
        tags: Iterable[str] = (), stale_ttl: float | None = None,
    ) -> bool:  # fmt: skip
        """Store a value unless one is there; whether it was stored. Atomic between processes."""
        return self._handle(version).add(self._key(key, version), value, **self._options(timeout, tags, stale_ttl))

    def get_or_set(
        self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None, *,
        tags: Iterable[str] = (), stale_ttl: float | None = None,
    ) -> Any:  # fmt: skip
        """Return the value under ``key``; on a miss keep ``default``, or what it returns: called once for all who ask at once."""
        loader = default if callable(default) else lambda: default
        return self._handle(version).get_or_set(self._key(key, version), loader, **self._options(timeout, tags, stale_ttl))

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        """Give a value a new lifetime from now on; whether it was there."""
        return self._handle(version).touch(self._key(key, version), **self._options(timeout, (), None))

    def delete(self, key: Any, version: Any = None) -> bool:
        """Remove a key; whether it was there."""
        return bool(self._handle(version).delete(self._key(key, version)))

    def get_many(self, keys: Iterable[Any], version: Any = None) -> dict[Any, Any]:
        """Return the values that exist among ``keys``, in one trip below memory."""
        names = self._keys(keys, version)
        return {names[name]: value for name, value in self._handle(version).get_many(names).items()}

    def set_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: Any = None, *,
        tags: Iterable[str] = (), stale_ttl: float | None = None,
    ) -> list[Any]:  # fmt: skip
        """Store several values in one step, all or none; returns the keys that were not stored."""
        names = self._keys(data, version)
        values = {name: data[key] for name, key in names.items()}
        return [names[name] for name in self._handle(version).set_many(values, **self._options(timeout, tags, stale_ttl))]

    def delete_many(self, keys: Iterable[Any], version: Any = None) -> None:
        """Remove several keys in one step."""
        self._handle(version).delete_many(self._keys(keys, version))

    def incr(self, key: Any, delta: int = 1, version: Any = None) -> int:
        """Add to an integer, atomically; its lifetime stays. ValueError where there is none."""
        found = self._handle(version).incr(self._key(key, version), delta, initial=None)
        if found is None:
            raise ValueError(f"Key '{key}' not found")
        return found

    def clear(self) -> None:
        """Invalidate everything of the current tenant under this alias's prefix, in all versions; other prefixes stay."""
        own = self.own_namespace
        self.manager.tenant(None, namespace=own).clear()
        for namespace in self._handle(1).namespaces(own + VERSION_MARK):
            self.manager.tenant(None, namespace=namespace).clear()

    def invalidate_tags(self, *tags: str) -> None:
        """Invalidate every value of the current tenant that bears one of ``tags``, under any prefix, in all processes."""
        self._handle(None).invalidate_tags(*tags)

    # -- what users of django-redis call -------------------------------------------------------

    def ttl(self, key: Any, version: Any = None) -> int | None:
        """Return the whole seconds that a value has left: None for ever, 0 where there is none."""
        return left_of(self._handle(version).ttl(self._key(key, version)), 1)

    def pttl(self, key: Any, version: Any = None) -> int | None:
        """Return the milliseconds that a value has left, as ``ttl``."""
        return left_of(self._handle(version).ttl(self._key(key, version)), 1000)

    def expire(self, key: Any, timeout: Any, version: Any = None) -> bool:
        """Let a value end in ``timeout`` seconds; whether it was there."""
        return self.touch(key, timeout, version=version)

    def pexpire(self, key: Any, timeout: Any, version: Any = None) -> bool:
        """Let a value end in ``timeout`` milliseconds; whether it was there."""
        return self.touch(key, timeout / 1000, version=version)

    def expire_at(self, key: Any, when: Any, version: Any = None) -> bool:
        """Let a value end at a Unix time or datetime; whether it was there."""
        return self.touch(key, until(when), version=version)

    def persist(self, key: Any, version: Any = None) -> bool:
        """Let a value live for ever; whether it was there."""
        return self._handle(version).persist(self._key(key, version))

    def iter_keys(self, search: str = "*", itersize: int | None = None, version: Any = None) -> Iterator[str]:
        """Yield the keys that fit ``search``, in which ``*`` and ``?`` are wild, reading ``itersize`` entries at a time."""
        handle, after = self._handle(version), ""
        while True:
            page = handle.key_page(search, after=after, limit=itersize or 500)
            yield from page.keys
            if page.after is None:
                return
            after = page.after

    def keys(self, search: str = "*", version: Any = None) -> list[str]:
        """Return the keys that fit ``search``."""
        return list(self.iter_keys(search, version=version))

    def delete_pattern(self, pattern: str, version: Any = None) -> int:
        """Remove the keys that fit ``pattern``; returns how many."""
        return self._handle(version).delete_pattern(pattern).count

    # -- asynchronous, without a thread --------------------------------------------------------

    async def aget(self, key: Any, default: Any = None, version: Any = None) -> Any:
        """As ``get``; a hit in memory suspends nothing."""
        if version is None:
            try:
                value = self._near_loop[current_tenant()].peek(key)
            except KeyError:
                pass
            else:
                if value is not MISSING:
                    return value
        return await self._loop_handle(version).get(self._key(key, version), default)

    async def aset(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None, *,
        tags: Iterable[str] = (), stale_ttl: float | None = None, nx: bool = False,
    ) -> bool:  # fmt: skip
        """As ``set``."""
        handle, name = self._loop_handle(version), self._key(key, version)
        options = self._options(timeout, tags, stale_ttl)
        await fetch(value)
        return await (handle.add(name, value, **options) if nx else handle.set(name, value, **options))

    async def aadd(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None, *,
        tags: Iterable[str] = (), stale_ttl: float | None = None,
    ) -> bool:  # fmt: skip
        """As ``add``."""
        await fetch(value)
        return await self._loop_handle(version).add(self._key(key, version), value, **self._options(timeout, tags, stale_ttl))

    async def aget_or_set(
        self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None, *,
        tags: Iterable[str] = (), stale_ttl: float | None = None,
    ) -> Any:  # fmt: skip
        """As ``get_or_set``; ``default`` may be a coroutine function."""
        if not callable(default):
            await fetch(default)
        loader: Callable[[], Any] = default if callable(default) else lambda: default
        return await self._loop_handle(version).get_or_set(self._key(key, version), loader, **self._options(timeout, tags, stale_ttl))

    async def atouch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        """As ``touch``."""
        return await self._loop_handle(version).touch(self._key(key, version), **self._options(timeout, (), None))

    async def adelete(self, key: Any, version: Any = None) -> bool:
        """As ``delete``."""
        return bool(await self._loop_handle(version).delete(self._key(key, version)))

    async def aget_many(self, keys: Iterable[Any], version: Any = None) -> dict[Any, Any]:
        """As ``get_many``."""
        names = self._keys(keys, version)
        return {names[name]: value for name, value in (await self._loop_handle(version).get_many(names)).items()}

    async def aset_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: Any = None, *,
        tags: Iterable[str] = (), stale_ttl: float | None = None,
    ) -> list[Any]:  # fmt: skip
        """As ``set_many``."""
        names = self._keys(data, version)
        values = {name: data[key] for name, key in names.items()}
        for value in values.values():
            await fetch(value)
        return [names[name] for name in await self._loop_handle(version).set_many(values, **self._options(timeout, tags, stale_ttl))]

    async def adelete_many(self, keys: Iterable[Any], version: Any = None) -> None:
        """As ``delete_many``."""
        await self._loop_handle(version).delete_many(self._keys(keys, version))

    async def aincr(self, key: Any, delta: int = 1, version: Any = None) -> int:
        """As ``incr``: atomic between tasks, too."""
        found = await self._loop_handle(version).incr(self._key(key, version), delta, initial=None)
        if found is None:
            raise ValueError(f"Key '{key}' not found")
        return found

    async def aclear(self) -> None:
        """As ``clear``."""
        own = self.own_namespace
        await self.loop_manager.tenant(None, namespace=own).clear()
        for namespace in await self._loop_handle(1).namespaces(own + VERSION_MARK):
            await self.loop_manager.tenant(None, namespace=namespace).clear()

    async def ainvalidate_tags(self, *tags: str) -> None:
        """As ``invalidate_tags``."""
        await self._loop_handle(None).invalidate_tags(*tags)

    async def aiter_keys(self, search: str = "*", itersize: int | None = None, version: Any = None) -> AsyncIterator[str]:
        """As ``iter_keys``."""
        handle, after = self._loop_handle(version), ""
        while True:
            page = await handle.key_page(search, after=after, limit=itersize or 500)
            for key in page.keys:
                yield key
            if page.after is None:
                return
            after = page.after

    async def adelete_pattern(self, pattern: str, version: Any = None) -> int:
        """As ``delete_pattern``."""
        return (await self._loop_handle(version).delete_pattern(pattern)).count
