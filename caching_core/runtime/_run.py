"""Drive the engine's coroutines from blocking code."""

import threading
from asyncio import AbstractEventLoop, _get_running_loop
from collections.abc import Coroutine
from typing import Any, TypeVar

from caching_core.errors import EngineSuspended

T = TypeVar("T")


class _Here(threading.local):
    loop: AbstractEventLoop | None = None  # the one that stands still while ``run_sync`` drives a coroutine


_here = _Here()


def is_driven() -> bool:
    """Return whether ``run_sync`` drives the coroutine that asks, so that it must not suspend, even where a loop runs."""
    running = _get_running_loop()
    return running is None or running is _here.loop


def run_sync(coro: Coroutine[Any, Any, T]) -> T:  # Any: send and yield types play no part
    """Run a coroutine whose ports block, in one step.

    Raises EngineSuspended if it suspends: the loader or a port awaited something that needs a loop.
    """
    running = _get_running_loop()
    if running is None:
        return _driven(coro)
    before, _here.loop = _here.loop, running
    try:
        return _driven(coro)
    finally:
        _here.loop = before


def _driven(coro: Coroutine[Any, Any, T]) -> T:
    try:
        coro.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    coro.close()
    raise EngineSuspended(
        "a blocking call met an awaitable that suspends; pass a plain function as the loader, or use the async CacheManager"
    )
