"""What a handle is left with when its manager has been closed: every verb says so."""

# ruff: noqa: SLF001 - a handle is closed from outside, for its manager keeps it and its engine goes on for others

from typing import Any, NoReturn, cast

from caching_core.engine import BoundHandle
from caching_core.errors import CacheError


class _Closed:
    """In the place of an engine: whatever is asked of it is refused."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, _asked: str) -> NoReturn:
        raise CacheError(f"the manager of the cache {self._name} was closed; open one, and take a new handle with tenant(…)")


def close_handle(handle: BoundHandle) -> None:
    """Take L1 and the engine from a handle; its name stays."""
    handle._engine.state.handles.discard(handle)  # nobody tells it of a new stamp table any more
    closed = cast("Any", _Closed(f"{handle.tenant}/{handle.namespace}"))  # Any: it stands for two types, and is neither
    # The engine before the entries: who finds no entry asks the engine.
    handle._engine = closed
    handle._reader = closed
    handle._entries = {}
