"""One SQLite connection per process: made on first use, put away before a fork, never closed in a child."""

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

_FORK_WAIT: Final = 5.0


class ProcessDatabase:
    """Lends one connection to one thread at a time.

    SQLite keeps its file locks in process memory, which a child inherits although the kernel's locks
    stay with the parent. So the connection is closed *before* a fork and opened again after it, on
    both sides. Where a fork ran no hook, the pid tells, and the inherited connection is left alone:
    closing it could end the parent's transaction.
    """

    __slots__ = ("__weakref__", "_abandoned", "_connect", "_connection", "_forking", "_identify", "_identity", "_lock", "_pid")

    def __init__(self, connect: Callable[[], sqlite3.Connection], identify: Callable[[], object]) -> None:
        """Keep ``connect`` for later; ``identify`` names the file, so that a replaced one is opened anew."""
        self._connect = connect
        self._identify = identify
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._identity: object = None
        self._abandoned: list[sqlite3.Connection] = []
        self._forking = False
        self._pid = os.getpid()
        _hook_forks(self)

    @contextmanager
    def lent(self) -> Generator[sqlite3.Connection]:
        """Lend the connection; nothing else uses it meanwhile. Errors of opening it come through as they are."""
        if self._pid != os.getpid():
            self.forked_child()
        with self._lock:
            identity = self._identify()
            if self._connection is None or identity != self._identity:
                self._put_away()
                self._connection = self._connect()
                self._identity = self._identify()
            yield self._connection

    def close(self) -> None:
        """Close this process's connection; the next use opens it again."""
        if self._pid != os.getpid():
            self.forked_child()
        with self._lock:
            self._put_away()

    def _put_away(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def before_fork(self) -> None:
        """Wait for the running use to end, close, and keep others out until the fork is done."""
        self._forking = self._lock.acquire(timeout=_FORK_WAIT)
        if self._forking:
            self._put_away()

    def forked_parent(self) -> None:
        """Let the threads of the parent go on."""
        if self._forking:
            self._forking = False
            self._lock.release()

    def forked_child(self) -> None:
        """Start anew in the child: own lock, no connection."""
        if self._connection is not None:
            self._abandoned.append(self._connection)
            self._connection = None
        self._forking = False
        self._lock = threading.Lock()
        self._pid = os.getpid()


def _hook_forks(database: ProcessDatabase) -> None:
    """Register the three hooks; they hold no strong reference, since Python cannot take a hook back."""
    seen = weakref.ref(database)

    def call(method: Callable[[ProcessDatabase], None]) -> None:
        live = seen()
        if live is not None:
            method(live)

    os.register_at_fork(
        before=lambda: call(ProcessDatabase.before_fork),
        after_in_parent=lambda: call(ProcessDatabase.forked_parent),
        after_in_child=lambda: call(ProcessDatabase.forked_child),
    )
