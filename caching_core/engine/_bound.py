"""What a handle needs to ask L1 by itself, settled once when it is bound."""

from time import monotonic
from typing import Any

from caching_core.engine._engine import MultiLevelCache
from caching_core.tiers.memory import Entry
from caching_core.types import MISSING


class BoundHandle:
    """A tenant and namespace, bound to an engine: the state that the hot path of both worlds reads.

    ``_entries`` and ``_view`` are kept by the handle itself, since each attribute hop costs a tenth of a hit.
    """

    __slots__ = ("__weakref__", "_engine", "_entries", "_reader", "_scope", "_view")

    def __init__(self, engine: MultiLevelCache, tenant: str, namespace: str) -> None:
        self._bind(engine, tenant, namespace)
        self.go_on()  # one that was given up meanwhile may not have told this handle

    def _bind(self, engine: MultiLevelCache, tenant: str, namespace: str) -> None:
        """Take an engine and its scope.

        The engine and its reader last: a verb under way in another thread takes them first, and an engine that is given
        up does nothing with another's scope, while the new one must never meet the old one's.
        """
        self._scope = engine.state.scope(tenant, namespace)
        self._entries = self._scope.entries
        engine.state.handles.add(self)  # before the view is taken: one that is replaced meanwhile is then taken again
        self._view = engine.state.stamps.view
        self._reader = engine.read
        self._engine = engine

    def go_on(self) -> None:
        """Go on with the engine's successor, where it has one; a handle that was closed stays closed."""
        engine = self._engine
        while type(engine) is MultiLevelCache and engine.successor is not None:
            engine = engine.successor
            self._bind(engine, self._scope.tenant, self._scope.namespace)

    @property
    def tenant(self) -> str:
        """Return the tenant that this handle is bound to."""
        return self._scope.tenant

    @property
    def namespace(self) -> str:
        """Return the namespace that this handle is bound to."""
        return self._scope.namespace

    def __repr__(self) -> str:
        """Show what the handle is bound to."""
        return f"<{type(self).__name__} {self._scope.tenant}/{self._scope.namespace}>"

    def peek(self, key: str) -> Any:
        """Return the value under ``key`` where memory has it and nothing speaks against it, else MISSING: then ``get`` can say.

        Never asks a store or waits, in either world; a hit is counted as one of ``get``.
        """
        try:
            entry = self._entries[key]
        except (KeyError, TypeError):
            return MISSING
        if entry.until > monotonic() and self._view[entry.lane] == entry.seen:
            entry.n += 1
            thaw = entry.thaw
            return entry.value if thaw is None else thaw(entry.value)
        return MISSING

    def bind_view(self, view: "memoryview[float]") -> None:
        """Take the stamp table that is current now; a handle that was closed may be told, too."""
        self._view = view

    def _again(self, key: str, entry: Entry) -> bool:
        """Tell whether a slot that is not plainly good is good after all."""
        return self._engine.state.recheck(self._scope, key, entry)

    def _from_memory(self, keys: list[str]) -> tuple[dict[str, Any], list[str]]:
        """Return what L1 has of ``keys``, and the keys that it has not."""
        found: dict[str, Any] = {}
        missing: list[str] = []
        entries, view, now = self._entries, self._view, self._engine.state.now()
        for key in keys:
            try:
                entry = entries[key]
            except (KeyError, TypeError):
                missing.append(key)
                continue
            if (entry.until > now and view[entry.lane] == entry.seen) or self._again(key, entry):
                entry.n += 1
                found[key] = entry.value if entry.thaw is None else entry.thaw(entry.value)
            else:
                missing.append(key)
        return found, missing
