"""A thread that does one thing again and again, and stands in nobody's way."""

import logging
import threading
from collections.abc import Callable

from caching_core.runtime._fork import after_fork_in_child

_LOG = logging.getLogger("caching_core.runtime")


class PeriodicWorker:
    """Call ``job`` every ``interval`` seconds in a daemon thread; its errors go to the log.

    The thread is made by ``ensure``, also again after a fork or ``stop``; it never keeps the
    process alive. Thread-safe.
    """

    def __init__(self, interval: float, job: Callable[[], object], name: str) -> None:
        self._interval = interval
        self._job = job
        self._name = name
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._signal = _Signal()

    @property
    def is_running(self) -> bool:
        """Return whether this process has the thread."""
        return self._is_alive()

    def _is_alive(self) -> bool:
        thread = self._thread
        return thread is not None and thread.is_alive()

    def ensure(self) -> None:
        """Start the thread unless it runs; cheap, so that it may stand on common paths."""
        if self._is_alive():
            return
        with self._lock:
            if self._is_alive():
                return
            signal = self._signal = _Signal()
            thread = threading.Thread(target=self._run, args=(signal,), name=self._name, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system gives no more threads, or the interpreter is going down
                _LOG.warning("the thread %s cannot be made; trying again later", self._name)
            else:
                self._thread = thread

    def poke(self) -> None:
        """Let the next turn come now; nothing happens without a thread."""
        self._signal.poke()

    def stop(self, timeout: float = 5.0) -> bool:
        """End the thread after the turn it is in, and wait for it; True if it ended in time."""
        with self._lock:
            thread = self._thread
            self._thread = None
            self._signal.stop()
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def _run(self, signal: "_Signal") -> None:
        while signal.wait(self._interval):
            try:
                self._job()
            except Exception:  # noqa: BLE001 - a worker outlives whatever its job raises
                _LOG.exception("a turn of the thread %s failed", self._name)


class _Signal:
    """What wakes one thread: poked for a turn, stopped for good."""

    __slots__ = ("_changed", "_is_poked", "_is_stopped")

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_poked = False
        self._is_stopped = False

    def poke(self) -> None:
        with self._changed:
            self._is_poked = True
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def wait(self, timeout: float) -> bool:
        """Wait for the next turn; False when there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_poked or self._is_stopped, timeout)
            self._is_poked = False
            return not self._is_stopped
