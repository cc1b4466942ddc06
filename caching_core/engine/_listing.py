"""List what is there: the keys of a namespace, page by page, and the namespaces of a tenant."""

from collections.abc import Callable
from dataclasses import dataclass

from caching_core.codec import Refused
from caching_core.engine._read import Reader, Standing
from caching_core.engine._scope import EngineState, Scope
from caching_core.tenancy import namespace_in, namespace_prefix
from caching_core.tiers import Store

_PAGE = 500


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Some of the keys of a namespace, in no order that means anything; ``after`` asks for those that follow, None: no more."""

    keys: tuple[str, ...]
    after: str | None = None


class Lister:
    """The listing verbs. They find what a read would find, and cost a read for each key."""

    __slots__ = ("_reader", "_state", "_store")

    def __init__(self, state: EngineState, store: Store | None, reader: Reader) -> None:
        self._state = state
        self._store = store
        self._reader = reader

    async def keys(self, scope: Scope, fits: Callable[[str], bool], *, after: str = "", limit: int = _PAGE) -> KeyPage:
        """Return the keys that ``fits`` accepts among the next ``limit`` entries. Raises TierUnavailable where they cannot be read."""
        state, store = self._state, self._store
        if state.options.disabled:
            return KeyPage(())
        if store is None:
            entries = list(scope.entries.items())
            return KeyPage(tuple(key for key, entry in entries if fits(key) and state.recheck(scope, key, entry)))
        if scope.keys_until <= state.now() or scope.names is None:
            await state.bind_keys(scope)
        assert scope.names is not None  # noqa: S101 -- for the type checker: bound above
        names = await store.names(scope.names.prefix, after=after, limit=limit)
        wanted = [name for name in names if (key := scope.names.key_of(name)) is None or fits(key)]
        found: list[str] = []
        for name, blob in zip(wanted, await store.get_many(wanted) if wanted else (), strict=True):
            key = None if blob is None else await self._good(scope, name, blob)
            if key is not None and fits(key):
                found.append(key)
        return KeyPage(tuple(found), names[-1] if len(names) == limit else None)

    async def _good(self, scope: Scope, name: str, blob: bytes) -> str | None:
        """Return the key of an entry that a read would find; None for another."""
        assert scope.names is not None and scope.channel is not None  # noqa: S101, PT018 -- for the type checker: bound by the caller
        key = scope.names.key_of(name)
        try:
            if key is None:
                key, _ = scope.channel.open_listed(blob[1:])
            standing, _ = await self._reader.weigh(scope, key, self._state.capture(scope, key), blob)
        except Refused:
            return None
        return key if standing is Standing.VALID else None

    async def namespaces(self, tenant: str, beginning: str) -> list[str]:
        """Return the namespaces of a tenant that begin so and that hold anything, or that this process has met.

        One whose name is too long to stand in a store in clear is listed only where this process has met it.
        """
        found = {namespace for owner, namespace in list(self._state.scopes) if owner == tenant and namespace.startswith(beginning)}
        store, after = self._store, ""
        prefix = namespace_prefix(tenant, beginning)
        while store is not None and not self._state.options.disabled:
            names = await store.names(prefix, after=after, limit=1)
            if not names:
                break
            namespace, after = namespace_in(names[0], tenant)
            if namespace is not None:
                found.add(namespace)
        return sorted(found)
