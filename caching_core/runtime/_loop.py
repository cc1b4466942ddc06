"""The event-loop world: callers are tasks, waiting suspends them, background work is tasks of the running loop."""

import logging
import threading
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from caching_core.runtime._fork import after_fork_in_child

if TYPE_CHECKING:
    # Imported on use otherwise: a blocking program never pays the 30 ms.
    import asyncio

_LOG = logging.getLogger("caching_core.runtime")

Job = Callable[[], Coroutine[Any, Any, object]]  # Any: send and yield types play no part


class TaskWaiter:
    """A task's place in a queue; it belongs to the loop that runs when it is made."""

    __slots__ = ("_event", "_is_woken", "_loop")

    def __init__(self) -> None:
        import asyncio

        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._is_woken = False  # set by any thread, read by the task even before the loop hears of it

    def wake(self) -> None:
        """End the wait, from any thread; harmless when nobody waits any more or the loop is gone."""
        self._is_woken = True
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:  # the loop is closed: whoever waited there is gone
            pass

    async def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds; True if woken."""
        import asyncio

        if self._is_woken:
            return True
        try:
            async with asyncio.timeout(max(timeout, 0.0)):
                await self._event.wait()
        except TimeoutError:
            return self._is_woken
        return True


class LoopRuntime:
    """The ``Runtime`` of event-loop callers, bound to no loop: whichever runs at the call is meant.

    Thread-safe where loops of several threads share it. Background jobs are kept referenced until
    they end.
    """

    blocks: bool = False

    def __init__(self) -> None:
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._is_closed = False
        self.dropped = 0

    def thread(self) -> int:
        """Return the identity of the calling thread."""
        return threading.get_ident()

    def now(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Pause this task."""
        import asyncio

        await asyncio.sleep(max(seconds, 0.0))

    def waiter(self) -> TaskWaiter:
        """Make a waiter for the calling task."""
        return TaskWaiter()

    def spawn(self, job: Job, *, name: str) -> None:
        """Run ``job`` as a task of the running loop, in a copy of the caller's context; its errors go to the log."""
        import asyncio

        if self._is_closed:
            self.dropped += 1
            _LOG.warning("background job %s was dropped: %s", name, "the runtime is closed")
            return
        task = asyncio.get_running_loop().create_task(_perform(job, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, timeout: float) -> bool:
        """Wait until no background task of the running loop is left, at most ``timeout`` seconds; True if so."""
        import asyncio

        mine = self._mine()
        if not mine:
            return True
        _, left = await asyncio.wait(mine, timeout=timeout)
        return not left

    async def aclose(self, timeout: float = 5.0) -> bool:
        """Take no more jobs, cancel the tasks of the running loop, and wait for them; True if all ended in time."""
        self.close()
        return await self.drain(timeout)

    def close(self) -> None:
        """Take no more jobs and cancel what runs, in whichever loop; does not wait."""
        self._is_closed = True
        for task in list(self._tasks):
            try:
                task.get_loop().call_soon_threadsafe(task.cancel)
            except RuntimeError:  # its loop is closed, and the task with it
                self._tasks.discard(task)

    def _mine(self) -> "set[asyncio.Task[object]]":
        import asyncio

        loop, caller = asyncio.get_running_loop(), asyncio.current_task()
        return {task for task in list(self._tasks) if task.get_loop() is loop and task is not caller}


async def _perform(job: Job, name: str) -> None:
    try:
        await job()
    except Exception:  # noqa: BLE001 - nobody waits for a background job; the log is its caller
        _LOG.exception("background job %s failed", name)
