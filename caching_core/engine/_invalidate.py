"""Invalidate: keys, tags, a namespace. Store first, then the touch, then the answer; nothing acknowledged is lost.

A disabled cache invalidates as well: others share its store, and it may be enabled again over the same entries.
"""

from collections.abc import Coroutine, Sequence
from typing import Any

from caching_core.engine._read import ledger_tags
from caching_core.engine._scope import EngineState, Scope
from caching_core.engine._write import Writer
from caching_core.errors import CacheError, KeyUnavailable, TierUnavailable
from caching_core.tenancy import MAX_INVALIDATED, check_key, check_tags
from caching_core.tiers import BumpNamespace, BumpTags, Store
from caching_core.types import Invalidated


class Invalidator:
    """The invalidating verbs. They do not acknowledge what the store did not hear: they raise TierUnavailable.

    Disabled, or where the store is a server that many hosts share and ``strict`` is off, they say ``pending`` instead: done
    in this host's memory, and left undone in the store.
    """

    __slots__ = ("_state", "_store", "_writer")

    def __init__(self, state: EngineState, store: Store | None, writer: Writer) -> None:
        self._state = state
        self._store = store
        self._writer = writer

    async def delete_many(self, scope: Scope, keys: Sequence[str]) -> Invalidated:
        """Remove keys: no read that starts after this returns sees their old values on this host."""
        keys = [check_key(key) for key in keys]
        if not keys:
            return Invalidated(0)
        work = self._delete_many(scope, keys)
        return await self._acknowledged(scope, work)

    async def _delete_many(self, scope: Scope, keys: Sequence[str]) -> Invalidated:
        state = self._state
        self._writer.refuse_if_read_only()
        scope.counts.deletes += len(keys)
        timing, began = state.timings.delete, state.now()
        is_timed = timing.is_due()
        try:
            if self._store is None:
                with state.alone:  # no change in place comes between
                    count = sum(self._forget(scope, key) for key in keys)
                    state.stamps.touch_keys([scope.cells.key(key) for key in keys])
                return Invalidated(count)
            return Invalidated(sum(await self._writer.remove(scope, keys)))
        finally:
            if self._store is not None:
                state.stamps.touch_keys([scope.cells.key(key) for key in keys])
            if is_timed:
                timing.took(state.now() - began)

    async def _acknowledged(self, scope: Scope, work: Coroutine[Any, Any, Invalidated]) -> Invalidated:  # Any: nothing is sent
        """Do the work, and say ``pending`` of what the store did not hear where that is not to raise.

        The callers of a disabled cache must not meet anything that is wrong with it.
        """
        options = self._state.options
        try:
            done = await work
        except CacheError as error:
            if not (options.disabled or (options.leaves_pending and isinstance(error, TierUnavailable | KeyUnavailable))):
                raise
            scope.counts.unavailable += 1
            return Invalidated(0, pending=True)
        return Invalidated(0, pending=True) if options.is_cut_off else done

    def _forget(self, scope: Scope, key: str) -> bool:
        entry = scope.entries.get(key)
        if entry is None or scope.partition is None or self._state.memory is None:
            return False
        was_there = self._state.recheck(scope, key, entry)
        self._state.memory.discard(scope.partition, key, entry)
        return was_there

    async def invalidate_tags(self, scope: Scope, tags: Sequence[str]) -> Invalidated:
        """Invalidate every entry of the tenant that bears one of ``tags``, at a cost that does not depend on their number."""
        names = check_tags(tags, limit=MAX_INVALIDATED)
        if not names:
            return Invalidated(0)
        work = self._invalidate_tags(scope, names)
        return await self._acknowledged(scope, work)

    async def _invalidate_tags(self, scope: Scope, names: tuple[str, ...]) -> Invalidated:
        state = self._state
        self._writer.refuse_if_read_only()
        scope.counts.invalidations += 1
        timing, began = state.timings.invalidate, state.now()
        is_timed = timing.is_due()
        try:
            if self._store is not None:
                if scope.names is None:
                    await state.bind_keys(scope)
                await self._store.mutate([], [BumpTags(scope.tenant, tuple(ledger_tags(scope, names)))])
        finally:
            state.stamps.touch_tags(scope.cells, names)
            if is_timed:
                timing.took(state.now() - began)
        return Invalidated(len(names))

    async def clear(self, scope: Scope) -> Invalidated:
        """Invalidate everything of this tenant and namespace."""
        work = self._clear(scope)
        return await self._acknowledged(scope, work)

    async def _clear(self, scope: Scope) -> Invalidated:
        state = self._state
        self._writer.refuse_if_read_only()
        state.gate.admit("clear", tenant=scope.tenant, namespace=scope.namespace)
        scope.counts.invalidations += 1
        try:
            if self._store is not None:
                await self._store.mutate([], [BumpNamespace(scope.tenant, scope.namespace)])
        except TierUnavailable:
            state.gate.failed("clear", tenant=scope.tenant, namespace=scope.namespace)
            raise
        finally:
            state.stamps.touch_namespace(scope.cells)
            if state.memory is not None and scope.partition is not None:
                state.memory.clear(scope.partition)
        return Invalidated(1)
