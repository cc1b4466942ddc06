"""The memory behind the stamps: a file that all processes of a host map, or an anonymous map.

Layout: one page of header words (u64), then the cells as doubles. A touch writes a number never used
before on this host; the cells of a new table hold negative random numbers, so nothing that was
stamped under an earlier table can match.
"""

import fcntl
import mmap
import os
import stat
import time
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

from caching_core.coherence._regions import CELLS
from caching_core.errors import ConfigInvalid, TierUnavailable

HEADER_BYTES: Final = 4096
TABLE_BYTES: Final = HEADER_BYTES + CELLS * 8

_MAGIC: Final = int.from_bytes(b"CCSTMP02", "little")
_PREFIX_SPACE: Final = 1 << 25  # prefix << 28 | counter stays below 2**53, where doubles are exact
_FILE_MODE: Final = 0o600
_LOCK_SECONDS: Final = 2.0  # it is held for microseconds, or for the making of a table
_LOCK_PAUSE: Final = 0.0005

# Header words. What the fleet's log needs (position, identity, alive_at, journal) has its place after these.
MAGIC, SIZE, BOOT, OWNER_GEN, PREFIX, STORE_GEN, CLOCK_BASE = range(7)


def boot_number() -> int:
    """Return a number of this boot of the machine: files of another boot are never trusted."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:  # no Linux: the moment of boot, in minutes, as far as the clocks tell
        text = str(int(time.time() - time.monotonic()) // 60)
    return int.from_bytes(sha256(text.encode()).digest()[:8], "little") or 1


def _random_cells() -> bytes:
    """Return the cells of a new table: doubles in (-2, -1] with 52 random bits each.

    One big-integer operation instead of 600,000 small ones: the sign and exponent bits are set, the rest kept.
    """
    count = CELLS * 8
    sign_and_exponent = int.from_bytes(b"\x00\x00\x00\x00\x00\x00\xf0\xbf" * CELLS, "little")
    mantissa = int.from_bytes(b"\xff\xff\xff\xff\xff\xff\x0f\x00" * CELLS, "little")
    return (int.from_bytes(os.urandom(count), "little") & mantissa | sign_and_exponent).to_bytes(count, "little")


class Table:
    """One mapped table: ``words`` (header, u64) and ``cells`` (doubles).

    ``path`` is None for the anonymous table, which only this process and its forks share.
    """

    __slots__ = ("__weakref__", "_lock_path", "_map", "cells", "identity", "path", "words")

    def __init__(self, fd: int, path: Path | None, lock_path: str) -> None:
        self.path = path
        self._lock_path = lock_path
        status = os.fstat(fd)
        self.identity = (status.st_dev, status.st_ino)
        self._map = mmap.mmap(fd, TABLE_BYTES)
        whole = memoryview(self._map)
        self.words = whole[:HEADER_BYTES].cast("Q")
        self.cells = whole[HEADER_BYTES:].cast("d")

    @contextmanager
    def locked(self) -> Generator[None]:
        """Hold the table's lock, against threads and processes alike (a lock per open file, not per process).

        Raises TierUnavailable where it cannot be had.
        """
        try:
            fd = _take_lock(self._lock_path)
        except OSError as error:
            raise TierUnavailable(
                f"the lock of the stamp table cannot be opened ({error.strerror}); check the directory and the limit of open files"
            ) from error
        try:
            yield
        finally:
            _give_up_lock(fd)

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


def _take_lock(path: str) -> int:
    """Take a lock of an open file description. Raises OSError, or TierUnavailable: who holds it was stopped in the middle."""
    flags = os.O_RDWR if path.startswith("/proc/") else os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    fd = os.open(path, flags | os.O_CLOEXEC, _FILE_MODE)
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


def _give_up_lock(fd: int) -> None:
    # Closing would not do: a process forked meanwhile has a copy of the descriptor, and the lock with it.
    try:
        fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        os.close(fd)


def has_table(directory: Path) -> bool:
    """Tell whether a stamp table of this boot stands in ``directory``: then others may share it, now or later."""
    try:
        with (directory / "stamps").open("rb") as file:
            head = file.read(24)
    except OSError:
        return False
    return _is_ours(head, boot_number())


def _is_ours(head: bytes, boot: int) -> bool:
    return [int.from_bytes(head[at : at + 8], "little") for at in (0, 8, 16)] == [_MAGIC, TABLE_BYTES, boot]


def _fill(fd: int, *, boot: int) -> None:
    """Allocate and initialise a new table. Allocated in full: a full disk must not become a SIGBUS later."""
    os.posix_fallocate(fd, 0, TABLE_BYTES)
    words = memoryview(bytearray(HEADER_BYTES)).cast("Q")
    words[MAGIC], words[SIZE], words[BOOT] = _MAGIC, TABLE_BYTES, boot
    words[OWNER_GEN] = int.from_bytes(os.urandom(8), "little") or 1
    # A random start: should an old table's number meet a slot stamped under this one, it does not match.
    words[PREFIX] = int.from_bytes(os.urandom(3), "little") | 1
    words[CLOCK_BASE] = (time.time_ns() - time.clock_gettime_ns(clock_id())) // 1_000_000
    data = words.tobytes() + _random_cells()
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def clock_id() -> int:
    """Return the clock that no wall-clock step moves and that runs on during suspend, where there is one."""
    return getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def anonymous_table() -> Table:
    """Make a table without a file; forks share it."""
    fd = os.memfd_create("caching-stamps", os.MFD_CLOEXEC)
    _fill(fd, boot=boot_number())
    # Re-opened through /proc for each lock: forks share this descriptor's file, and with it its lock.
    table = Table(fd, None, f"/proc/self/fd/{fd}")
    weakref.finalize(table, os.close, fd).atexit = False  # at exit others may still use it
    return table


def file_table(directory: Path) -> Table:
    """Open the host's table in ``directory``, or make it; a file of another boot, size or format is replaced.

    Raises TierUnavailable where the directory cannot hold one, ConfigInvalid where the file belongs to somebody else.
    """
    path = directory / "stamps"
    lock_path = str(directory / "stamps.lock")
    boot = boot_number()
    try:
        lock = _take_lock(lock_path)
        try:
            fd = _open_existing(path, boot)
            if fd is None:
                fd = _create(path, boot)
            try:
                return Table(fd, path, lock_path)
            finally:
                os.close(fd)
        finally:
            _give_up_lock(lock)
    except OSError as error:
        raise TierUnavailable(
            f"the stamp file {path} cannot be opened ({error.strerror}); check that the directory is writable and has 5 MiB free"
        ) from error


def _open_existing(path: Path, boot: int) -> int | None:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    status = os.fstat(fd)
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        os.close(fd)
        raise ConfigInvalid(f"{path} is not owned by this user alone; remove it, or run: chmod 600 {path}")
    if status.st_size == TABLE_BYTES and _is_ours(os.pread(fd, 24, 0), boot):
        return fd
    os.close(fd)
    return None


def _create(path: Path, boot: int) -> int:
    draft = path.with_name(f"stamps.{os.getpid()}.{os.urandom(4).hex()}")
    fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, _FILE_MODE)
    try:
        _fill(fd, boot=boot)
        draft.rename(path)
    except BaseException:
        os.close(fd)
        draft.unlink(missing_ok=True)
        raise
    return fd
