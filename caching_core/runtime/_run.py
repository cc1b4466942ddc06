"""Drive the engine's coroutines from blocking code."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from caching_core.errors import EngineSuspended

T = TypeVar("T")


def run_sync(coro: Coroutine[Any, Any, T]) -> T:  # Any: send and yield types play no part
    """Run a coroutine whose ports block, in one step.

    Raises EngineSuspended if it suspends: the loader or a port awaited something that needs a loop.
    """
    try:
        coro.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    coro.close()
    raise EngineSuspended(
        "a blocking call met an awaitable that suspends; pass a plain function as the loader, or use the async CacheManager"
    )
