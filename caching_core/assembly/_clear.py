"""Clearing everything of every tenant."""

from collections.abc import Awaitable, Callable

from caching_core.engine import EngineState


async def clear_all(state: EngineState, forget: Callable[[], Awaitable[None]] | None, *, has_directory: bool) -> None:
    """Invalidate everything on all levels; ``forget`` empties a server that many hosts share.

    Raises AuditUnavailable, when nothing was done; TierUnavailable when it was not.
    """
    state.gate.admit("clear_all", tenant="", namespace="")
    try:
        if forget is not None:
            try:
                await forget()
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
