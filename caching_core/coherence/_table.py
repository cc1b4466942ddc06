"""The memory behind the stamps, as one process sees it, and the lock that all who share it take.

Layout: one page of header words (u64), then the cells as doubles. A touch writes a number never used
before on this host; the cells of a new table hold negative random numbers, so nothing that was
stamped under an earlier table can match.
"""

import fcntl
import os
import time
import weakref
from array import array
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from caching_core.coherence._regions import CELLS
from caching_core.errors import TierUnavailable

HEADER_BYTES: Final = 4096
TABLE_BYTES: Final = HEADER_BYTES + CELLS * 8
FILE_MODE: Final = 0o600

_PREFIX_SPACE: Final = 1 << 25  # prefix << 28 | counter stays below 2**53, where doubles are exact
_LOCK_SECONDS: Final = 2.0  # it is held for microseconds, or for the making of a table
_LOCK_PAUSE: Final = 0.0005

# Header words. What the fleet's log needs (position, identity, alive_at, journal) has its place after these.
MAGIC, SIZE, BOOT, OWNER_GEN, PREFIX, STORE_GEN, CLOCK_BASE, SECRET_TAG, SCHEME = range(9)

GIVEN_UP: Final = (1 << 64) - 1
"""Stands in STORE_GEN of a table that others replaced while it was in use: there is no store under it."""


class Table:
    """One table: ``words`` (header, u64) and ``cells`` (doubles).

    ``path`` is None where only this process and its forks share it.
    """

    __slots__ = ("__weakref__", "_leave", "_lock_path", "cells", "identity", "path", "words")

    def __init__(
        self, memory: memoryview, *, path: Path | None = None, lock_path: str = "", identity: tuple[int, int] | None = None
    ) -> None:
        """``identity`` is device and inode of the file that ``memory`` maps."""
        self.path = path
        self.identity = identity
        self._lock_path = lock_path
        self._leave: weakref.finalize[[int], Table] | None = None
        self.words = memory[:HEADER_BYTES].cast("Q")
        self.cells = memory[HEADER_BYTES:].cast("d")

    @property
    def is_given_up(self) -> bool:
        """Tell whether others replaced it."""
        return self.words[STORE_GEN] == GIVEN_UP

    def give_up(self) -> None:
        """Let nobody who maps it trust anything: there is no store any more, and the cells equal no number, not even themselves.

        Needs neither the lock nor a number, so that nothing can keep it from being done.
        """
        self.words[STORE_GEN] = GIVEN_UP
        self.cells[:] = memoryview(array("d", [float("nan")]) * CELLS)

    def own(self, fd: int) -> None:
        """Close ``fd`` when this process leaves the table, or drops it; a descriptor with a lock says that it is in use."""
        self._leave = weakref.finalize(self, os.close, fd)
        self._leave.atexit = False  # until then others may still use it

    def leave(self) -> None:
        """Give up the descriptor that says that this process uses the table; safe to call twice."""
        if self._leave is not None:
            self._leave()

    @contextmanager
    def locked(self) -> Generator[None]:
        """Hold the table's lock, against threads and processes alike (a lock per open file, not per process).

        Raises TierUnavailable where it cannot be had.
        """
        try:
            fd = take_lock(self._lock_path)
        except OSError as error:
            raise TierUnavailable(
                f"the lock of the stamp table cannot be opened ({error.strerror}); check the directory and the limit of open files"
            ) from error
        try:
            yield
        finally:
            give_up_lock(fd)

    def take_prefix(self) -> int:
        """Take the next prefix of the host: the caller alone numbers its touches under it."""
        with self.locked():
            prefix = self.words[PREFIX]
            if prefix >= _PREFIX_SPACE:
                if self.path is not None:
                    self.path.unlink(missing_ok=True)  # all processes see the file gone and start a new one
                raise TierUnavailable("the stamp table has used all its prefixes; it is replaced within a second, try again")
            self.words[PREFIX] = prefix + 1
            return prefix

    def is_current(self) -> bool:
        """Tell whether the path still leads to this table."""
        if self.path is None:
            return True
        try:
            status = self.path.lstat()
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self.identity


def take_lock(path: str) -> int:
    """Take a lock of an open file description. Raises OSError, or TierUnavailable: who holds it was stopped in the middle."""
    flags = os.O_RDWR if path.startswith("/proc/") else os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    fd = os.open(path, flags | os.O_CLOEXEC, FILE_MODE)
    try:
        until = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return fd
            except BlockingIOError:
                if time.monotonic() > until:
                    raise TierUnavailable(
                        f"the lock of the stamp table was not given up within {_LOCK_SECONDS:g} s; "
                        "a process of this cache was stopped while it held it: continue or end it"
                    ) from None
            time.sleep(_LOCK_PAUSE)
    except BaseException:
        os.close(fd)
        raise


def give_up_lock(fd: int) -> None:
    # Closing would not do: a process forked meanwhile has a copy of the descriptor, and the lock with it.
    try:
        fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        os.close(fd)
