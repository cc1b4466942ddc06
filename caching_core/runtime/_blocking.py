"""The blocking world: callers are threads, waiting blocks them, background work has a few threads of its own."""

import contextvars
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from caching_core.runtime._fork import after_fork_in_child
from caching_core.runtime._run import run_sync

_LOG = logging.getLogger("caching_core.runtime")

Job = Callable[[], Coroutine[Any, Any, object]]  # Any: send and yield types play no part


class ThreadWaiter:
    """A thread's place in a queue."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def wake(self) -> None:
        """End the wait; harmless when nobody waits any more."""
        self._event.set()

    async def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds; True if woken."""
        # A threading wait refuses what does not fit into the system's clock, infinity among it.
        return self._event.wait(min(max(timeout, 0.0), threading.TIMEOUT_MAX))


class BlockingRuntime:
    """The ``Runtime`` of blocking callers. Thread-safe; made anew by itself in a forked child.

    Background jobs run in at most ``workers`` daemon threads, made when there is work and ended
    after ``idle`` seconds without. At most ``backlog`` jobs wait; one more is dropped, counted in
    ``dropped`` and logged, for memory stays bounded and a caller is never made to do the work.
    """

    blocks: bool = True

    def __init__(self, *, workers: int = 4, backlog: int = 1024, idle: float = 5.0) -> None:
        self._workers = workers
        self._backlog = backlog
        self._idle = idle
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._jobs: deque[tuple[str, Job, contextvars.Context]] = deque()
        self._threads: set[threading.Thread] = set()
        self._waiting = 0  # threads that wait for a job, those woken but not yet running included
        self._running = 0  # jobs that run
        self._is_closed = False
        self.dropped = 0

    def thread(self) -> int:
        """Return the identity of the calling thread."""
        return threading.get_ident()

    def now(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Pause this thread."""
        if seconds > 0:
            time.sleep(seconds)  # noqa: ASYNC251 - blocking is what this world does; no loop is near

    def waiter(self) -> ThreadWaiter:
        """Make a waiter for the calling thread."""
        return ThreadWaiter()

    def spawn(self, job: Job, *, name: str) -> None:
        """Run ``job`` in a worker, in a copy of the caller's context; its errors go to the log."""
        with self._changed:
            if self._is_closed:
                refusal = "the runtime is closed"
            elif len(self._jobs) >= self._backlog:
                refusal = "too many are waiting"
            else:
                self._jobs.append((name, job, contextvars.copy_context()))
                refusal = "" if self._employ() else "no thread can be made"
            if refusal:
                self.dropped += 1
        if refusal:
            _LOG.warning("background job %s was dropped: %s", name, refusal)

    def _employ(self) -> bool:
        """See to it that somebody takes the newest job; False if nobody can, and the job is taken back."""
        if self._waiting >= len(self._jobs):
            self._changed.notify()
        elif len(self._threads) < self._workers:
            thread = threading.Thread(target=self._work, name="caching-background", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system gives no more threads, or the interpreter is going down
                if not self._threads:
                    self._jobs.pop()
                    return False
            else:
                self._threads.add(thread)
        return True

    def _work(self) -> None:
        # A fork replaces the condition; a thread keeps to the one it was made with.
        changed = self._changed
        try:
            while self._work_once(changed):
                pass
        finally:
            with changed:
                self._threads.discard(threading.current_thread())
                changed.notify_all()

    def _work_once(self, changed: threading.Condition) -> bool:
        with changed:
            taken = self._next_job()
            if taken is None:
                # Gone in the same step as decided: no job may count on this thread any more.
                self._threads.discard(threading.current_thread())
                return False
            self._running += 1
        name, job, context = taken
        try:
            context.run(_perform, name, job)
        finally:
            with changed:
                self._running -= 1
                changed.notify_all()
        return True

    def _next_job(self) -> tuple[str, Job, contextvars.Context] | None:
        """Wait for a job; None when it is time to end."""
        if not self._jobs and not self._is_closed:
            self._waiting += 1
            self._changed.wait_for(lambda: self._jobs or self._is_closed, self._idle)
            self._waiting -= 1
        return self._jobs.popleft() if self._jobs else None

    def drain(self, timeout: float) -> bool:
        """Wait until no background job waits or runs, at most ``timeout`` seconds; True if so. Not to be called by a job."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._jobs and not self._running, timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Take no more jobs, drop those that wait, and wait for those that run; True if all ended in time."""
        with self._changed:
            self._is_closed = True
            self.dropped += len(self._jobs)
            self._jobs.clear()
            self._changed.notify_all()
            # A job that closes the runtime it runs in cannot wait for itself.
            me = threading.current_thread()
            return self._changed.wait_for(lambda: self._threads <= {me}, timeout)


def _perform(name: str, job: Job) -> None:
    try:
        run_sync(job())
    except BaseException:  # noqa: BLE001 - nobody waits for a background job, not even for its SystemExit; the log is its caller
        _LOG.exception("background job %s failed", name)
