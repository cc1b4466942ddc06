"""The connections of one process to one file: lent last-in first-out, put away before a fork.

SQLite keeps its file locks in process memory. A child inherits that memory but not the kernel's locks:
a connection opened in the child to a file which the parent had open takes no lock of its own (seen in
/proc/locks), and the last of the others to close may then delete the log under it. So connections are
closed *before* a fork, on both sides opened again after it; abandoning them in the child is not enough.
"""

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from caching_core.tiers.disk._failures import Failure, StoreBusy, failure_of
from caching_core.tiers.disk._schema import Connection

T = TypeVar("T")

MOST_CONNECTIONS: Final = 32
IDLE_CONNECTIONS: Final = 8
FORK_SECONDS: Final = 1.0
_FORK_PAUSE: Final = 0.0005


class Pool:
    """``idle`` is the stack of connections that nobody uses; a hot caller may pop and append by itself.

    ``generation``, ``path`` and ``identity`` (device, inode) name the file.
    """

    __slots__ = ("_all", "_connect", "_opening", "generation", "identity", "idle", "path", "retired")

    def __init__(self, generation: str, path: Path, identity: tuple[int, int], connect: Callable[[Path], Connection]) -> None:
        self.generation = generation
        self.path = path
        self.identity = identity
        self.idle: list[Connection] = []
        self.retired = False  # nobody takes from it any more; what comes back is closed
        self._all: set[Connection] = set()  # also the lent ones; a child keeps those that it must never finalise
        self._connect = connect
        self._opening = threading.Lock()  # held while one is made, and throughout a fork

    def take(self) -> Connection:
        """Take a connection, made if need be. Raises StoreBusy where this process has enough of them."""
        try:
            return self.idle.pop()
        except IndexError:
            pass
        with self._opening:
            if len(self._all) >= MOST_CONNECTIONS:
                raise StoreBusy("all connections of this process are in use")
            connection = self._connect(self.path)
            self._all.add(connection)
            return connection

    def discard(self, connection: Connection) -> None:
        """Close a connection that was taken, instead of giving it back; an open transaction is rolled back."""
        connection.close()
        self._all.discard(connection)

    def lend(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` on a connection. After an error it is closed, unless it merely could not begin."""
        connection = self.take()
        try:
            result = work(connection)
        except BaseException as error:
            if isinstance(error, sqlite3.Error) and failure_of(error) is Failure.BUSY and not connection.in_transaction:
                self.idle.append(connection)
            else:
                self.discard(connection)
            raise
        self.idle.append(connection)
        if self.retired:
            self.trim(0)
        return result

    def trim(self, keep: int = IDLE_CONNECTIONS) -> bool:
        """Close the idle connections beyond ``keep``; tell whether more than these are still lent."""
        while len(self.idle) > keep:
            try:
                connection = self.idle.pop(0)
            except IndexError:
                break
            self.discard(connection)
        return len(self._all) > keep

    def before_fork(self) -> bool:
        """Keep others from opening, close what is idle, wait for what is lent; tell whether to call ``after_fork``."""
        held = self._opening.acquire(timeout=FORK_SECONDS)
        give_up = time.monotonic() + FORK_SECONDS
        while self.trim(0) and time.monotonic() < give_up:
            time.sleep(_FORK_PAUSE)
        return held

    def after_fork(self) -> None:
        """Let others open again."""
        self._opening.release()

    def is_closed(self) -> bool:
        """Tell whether no connection is left."""
        return not self._all
