"""Clearing everything of every tenant."""

from typing import Protocol, runtime_checkable

from caching_core.engine import EngineState
from caching_core.tiers import Store


@runtime_checkable
class _Emptied(Protocol):
    """A store that many hosts share, and that says itself that nothing in it is valid any more."""

    async def forget_ledgers(self) -> None: ...


async def clear_all(state: EngineState, store: Store | None, *, has_directory: bool) -> None:
    """Invalidate everything on all levels. Raises AuditUnavailable, when nothing was done; TierUnavailable when it was not."""
    state.gate.admit("clear_all", tenant="", namespace="")
    try:
        if isinstance(store, _Emptied):
            try:
                await store.forget_ledgers()
            finally:
                state.stamps.touch_all()
        elif has_directory:
            state.stamps.void(state.stamps.current(), "clear_all")
        else:
            state.stamps.touch_all()
    except BaseException:
        state.gate.failed("clear_all", tenant="", namespace="")
        raise
    finally:
        state.drop_all()
