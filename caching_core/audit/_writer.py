"""The queue in front of the chain, and the one thread per process that empties it."""

import logging
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Final

from caching_core.audit._chain import CHECKPOINT_SECONDS, Chain
from caching_core.audit._privacy import Privacy
from caching_core.audit._record import AuditClass, Body, Entry, Outcome, body_of
from caching_core.audit._spill import Spill
from caching_core.audit._throttle import Throttle
from caching_core.errors import AuditUnavailable, CacheError

BATCH: Final = 1000
GATHER_SECONDS: Final = 0.05
ADMIN_WAIT_SECONDS: Final = 0.1
_RETRY_SECONDS: Final = (0.25, 5.0)
_TICK_SECONDS: Final = 1.0
_WORKER_SECONDS: Final = 5.0

_log = logging.getLogger(__name__)


class Writer:
    """Takes entries from any thread and appends them in batches of at most 1000, or what 50 ms bring together.

    The thread is a daemon, started by the first entry and again in a child after a fork, which begins with an
    empty queue: what waited is the parent's to write. Used through AuditLog.
    """

    __slots__ = (
        "__weakref__",
        "_chain",
        "_clock",
        "_draining",
        "_hurry",
        "_limit",
        "_pending",
        "_privacy",
        "_space",
        "_spill",
        "_starting",
        "_stopping",
        "_thread",
        "_waiting",
        "_wake",
        "asleep",
        "queue",
        "throttle",
        "trouble",
    )  # fmt: skip

    def __init__(self, chain: Chain, spill: Spill, privacy: Privacy, *, clock: Callable[[], float], limit: int) -> None:
        """Start nothing yet. ``limit`` bounds the queue."""
        self._chain = chain
        self._spill = spill
        self._privacy = privacy
        self._clock = clock
        self._limit = limit
        self.forked()
        seen = weakref.ref(self)

        def child() -> None:
            live = seen()
            if live is not None:
                live.forked()

        os.register_at_fork(after_in_child=child)

    def forked(self) -> None:
        """Begin with nothing: at first, and in a child."""
        self.queue: deque[Entry | threading.Event] = deque()
        self.throttle = Throttle(self._clock)
        self.asleep = True  # no thread is looking at the queue
        self.trouble = ""  # why the log cannot be written, while it cannot
        self._pending: list[Body] = []  # taken from the queue, not yet in the chain
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._waiting = 0  # ADMIN callers who wait for room
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._space = threading.Condition()
        self._draining = threading.RLock()
        self._starting = threading.Lock()
        self._privacy.forget()

    def rouse(self) -> None:
        """Make the thread look at the queue; start it if there is none."""
        with self._starting:
            self.asleep = False
            if self._thread is None or not self._thread.is_alive():
                self._stopping = False
                self._thread = threading.Thread(target=self._run, name="caching-audit", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # the interpreter is ending: close() writes what waits
                    self._thread = None
                    self.asleep = True
                    return
                self._finish_with_worker()
            self._wake.set()

    def _finish_with_worker(self) -> None:
        """Close at the end of a multiprocessing worker too, which runs no atexit functions."""
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            seen = weakref.ref(self)

            def close() -> None:
                live = seen()
                if live is not None:
                    live.close(_WORKER_SECONDS)

            util.Finalize(None, close, exitpriority=100)

    def make_room(self, entry: Entry) -> bool:
        """Deal with an ADMIN entry that found the queue full: False if there is room now, True if it has been spilled.

        AuditUnavailable where neither can be had.
        """
        self.rouse()
        with self._space:
            self._waiting += 1
            try:
                if self._space.wait_for(lambda: len(self.queue) < self._limit, ADMIN_WAIT_SECONDS):
                    return False
            finally:
                self._waiting -= 1
        self._spill.add([body_of(entry, self._privacy)])
        return True

    def flush(self, timeout: float) -> bool:
        """Wait until what was recorded before is on disk; False when ``timeout`` seconds have not been enough."""
        done = threading.Event()
        self.queue.append(done)
        self._hurry.set()
        self.rouse()
        return done.wait(timeout)

    def close(self, timeout: float) -> None:
        """Write everything, counts that still run included, and end the thread. What cannot be written is spilled."""
        thread = self._thread
        self._stopping = True
        self._hurry.set()
        self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
        if not self._draining.acquire(timeout=timeout):
            _log.error("the audit writer did not end within %g s; %d records stay unwritten", timeout, len(self.queue))
            return
        try:
            self.queue.extend(self.throttle.finished(everything=True))
            while self.queue or self._pending:
                if not self._drain():
                    self._give_up()
                    break
            self._chain.close()
        except AuditUnavailable as error:
            _log.error("closing the audit log: %s", error)
        finally:
            self._thread = None
            self.asleep = True
            self._draining.release()

    def _run(self) -> None:
        """Be the thread: sleep until something is there, gather, write; never end because of an error."""
        pause = _RETRY_SECONDS[0]
        while not self._stopping:
            self._sleep()
            if len(self.queue) < BATCH and not self._hurry.is_set():  # close() hurries too
                self._hurry.wait(GATHER_SECONDS)
            try:
                written = self._drain()
            except Exception:  # noqa: BLE001 - the worker's last resort: an audit thread that dies would take every later record along
                _log.exception("the audit writer met an error of its own; it goes on")
                written = False
            if written:
                pause = _RETRY_SECONDS[0]
            else:
                self._wake.clear()
                self._wake.wait(pause)
                pause = min(2 * pause, _RETRY_SECONDS[1])

    def _sleep(self) -> None:
        self.asleep = True
        self._wake.clear()
        # Asleep first, then a look: who appends first and looks at `asleep` then, cannot be missed.
        if not (self.queue or self._pending or self._stopping):
            self._wake.wait(_TICK_SECONDS if self.throttle.is_counting() else CHECKPOINT_SECONDS)
        self.asleep = False

    def _drain(self) -> bool:
        """Write one batch (or only a checkpoint that is due); False where the log cannot be written."""
        with self._draining:
            flushed: list[threading.Event] = []
            if not (self.trouble and self._pending):  # in trouble nothing more leaves the queue: memory stays bounded
                self.queue.extend(self.throttle.finished())
                flushed = self._take()
            try:
                if not self._spill.is_empty():
                    self._replay()
                self._chain.append(self._pending)
            except CacheError as error:
                self.queue.extend(flushed)
                if not self.trouble:
                    _log.error("audit records wait in memory: %s", error)
                self.trouble = str(error)
                return False
            if self.trouble:
                _log.warning("audit records are written again")
                self.trouble = ""
            self._pending = []
            if not self.queue:
                self._hurry.clear()
            for done in flushed:
                done.set()
            return True

    def _take(self) -> list[threading.Event]:
        """Move entries from the queue to the batch; return the flushes that wait for it."""
        flushed: list[threading.Event] = []
        while self.queue and len(self._pending) < BATCH:
            item = self.queue.popleft()
            if isinstance(item, threading.Event):
                flushed.append(item)
            else:
                self._pending.append(self._body(item))
        if self._waiting:
            with self._space:
                self._space.notify_all()
        return flushed

    def _body(self, entry: Entry) -> Body:
        try:
            return body_of(entry, self._privacy)
        except Exception:  # noqa: BLE001 - a value of the caller's whose own methods raise must not cost its neighbours their place
            _log.exception("an audit record of action %r could not be read", entry[1])
            return self._note(entry[0], "unreadable", 1)

    def _replay(self) -> None:
        with self._spill.replay() as spilled:
            self._chain.append(spilled.bodies, replayed=spilled.ids)
            notes: list[Body] = []
            if spilled.torn:
                notes.append(self._note(AuditClass.SYSTEM, "torn", spilled.torn))
            if spilled.rejected:
                notes.append(self._note(AuditClass.SECURITY, "spill_rejected", spilled.rejected))
            self._chain.append(notes)

    def _note(self, cls: AuditClass, action: str, count: int) -> Body:
        entry = (cls, action, Outcome.ERROR, "", "system", "", "", "", "", "", count, None, None, self._clock())
        return body_of(entry, self._privacy)

    def _give_up(self) -> None:
        """Spill what the chain does not take at the end; say what is lost if that fails too."""
        entries = [item for item in self.queue if not isinstance(item, threading.Event)]
        self.queue.clear()
        bodies = self._pending + [body_of(entry, self._privacy) for entry in entries]
        self._pending = []
        try:
            for start in range(0, len(bodies), BATCH):
                self._spill.add(bodies[start : start + BATCH])
        except AuditUnavailable as error:
            _log.critical("%d audit records are lost: %s", len(bodies), error)
