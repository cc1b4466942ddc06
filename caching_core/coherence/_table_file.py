"""How a stamp table is made and found: in the host's file, in memory that forks share, or nowhere.

Who opens the file holds a shared lock on it for as long as it uses the table (the lock goes with the process, however that
ends): so it can be told whether a table may be replaced without anybody's noticing.
"""

import fcntl
import mmap
import os
import stat
import time
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Final

from caching_core.coherence._regions import CELLS
from caching_core.coherence._scheme import Scheme
from caching_core.coherence._table import (
    BOOT,
    CLOCK_BASE,
    FILE_MODE,
    HEADER_BYTES,
    MAGIC,
    OWNER_GEN,
    PREFIX,
    SCHEME,
    SECRET_TAG,
    SIZE,
    TABLE_BYTES,
    Table,
    give_up_lock,
    take_lock,
)
from caching_core.errors import ConfigInvalid, TierUnavailable

_MAGIC: Final = int.from_bytes(b"CCSTMP03", "little")


class TableForeign(TierUnavailable):
    """The table that stands belongs to processes with another fleet secret; this process must not share it, nor replace it."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What processes must have in common to share a table: ``secret_tag`` tells fleet secrets apart and reveals nothing of them."""

    secret_tag: int
    scheme: Scheme

    @classmethod
    def of(cls, secret: bytes, scheme: Scheme) -> "Terms":
        """Return the terms of a process with this fleet secret."""
        digest = blake2b(digest_size=8, key=secret, person=b"cc-stamps-tag").digest()
        return cls(int.from_bytes(digest, "little"), scheme)


def boot_number() -> int:
    """Return a number of this boot of the machine: files of another boot are never trusted."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:  # no Linux: the moment of boot, in minutes, as far as the clocks tell
        text = str(int(time.time() - time.monotonic()) // 60)
    return int.from_bytes(sha256(text.encode()).digest()[:8], "little") or 1


def clock_id() -> int:
    """Return the clock that no wall-clock step moves and that runs on during suspend, where there is one."""
    return getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


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


def dead_table() -> Table:
    """Make a table in which nothing holds and under which there is no store; it takes no descriptor."""
    memory = memoryview(bytearray(_header(Terms(0, Scheme())) + bytes(CELLS * 8)))
    table = Table(memory)
    table.give_up()
    return table


def anonymous_table() -> Table:
    """Make a table without a file; forks share it."""
    fd = os.memfd_create("caching-stamps", os.MFD_CLOEXEC)
    _fill(fd, Terms(0, Scheme()))
    # Re-opened through /proc for each lock: forks share this descriptor's file, and with it its lock.
    table = Table(memoryview(mmap.mmap(fd, TABLE_BYTES)), lock_path=f"/proc/self/fd/{fd}")
    table.own(fd)
    return table


def file_table(directory: Path, terms: Terms, *, replaces: bool = True) -> Table:
    """Open the host's table in ``directory``, or make it; a file of another boot, size or format is replaced.

    So is one of other terms that nobody uses. One in use is ConfigInvalid where the scheme is another; where only the
    secret is, the keystore has been lost, so that those who use it are given up, or with ``replaces`` False TableForeign.
    Raises TierUnavailable where the directory cannot hold one, ConfigInvalid where the file belongs to somebody else.
    """
    path = directory / "stamps"
    lock_path = str(directory / "stamps.lock")
    try:
        lock = take_lock(lock_path)
        try:
            table, fd = None, _open_existing(path)
            if fd is not None:
                table = _mapped(fd, path, lock_path)
                if table.words[SECRET_TAG] == terms.secret_tag and table.words[SCHEME] == terms.scheme.number:
                    if not table.is_given_up:  # else who gave it up could not replace it
                        return table
                elif _is_used(table):
                    _refuse_to_part(directory, table, terms, replaces=replaces)
            return _mapped(_create(path, terms, instead_of=table), path, lock_path)
        finally:
            give_up_lock(lock)
    except OSError as error:
        raise TierUnavailable(
            f"the stamp file {path} cannot be opened ({error.strerror}); check that the directory is writable and has 5 MiB free"
        ) from error


def _mapped(fd: int, path: Path, lock_path: str) -> Table:
    """Map an open file and say that this process uses it, under the lock; takes over ``fd``."""
    try:
        status = os.fstat(fd)
        memory = memoryview(mmap.mmap(fd, TABLE_BYTES))
        table = Table(memory, path=path, lock_path=lock_path, identity=(status.st_dev, status.st_ino))
    finally:
        os.close(fd)
    # The map keeps a descriptor of its own, which lives as long as the last handle: whether the table is in use is another's to say.
    use = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    table.own(use)
    fcntl.flock(use, fcntl.LOCK_SH | fcntl.LOCK_NB)  # nobody tries the other kind without the lock
    return table


def _refuse_to_part(directory: Path, table: Table, terms: Terms, *, replaces: bool) -> None:
    """Raise where a table of other terms, which others use, must not be taken from them."""
    differences = Scheme.of(table.words[SCHEME]).differences(terms.scheme)
    if differences:
        there = " and ".join(f"{name} {value}" for name, value, _ in differences)
        here = " and ".join(value for _, _, value in differences)
        raise ConfigInvalid(
            f"{directory} is in use with {there}, and here it is {here}: such processes do not hear what the others invalidate. "
            "Give all of them the same setting, or this one a directory of its own; once nobody uses the directory any more, "
            "it opens under the new setting and begins anew"
        )
    if not replaces:
        raise TableForeign(
            f"{directory} was begun anew by processes with another keystore or key, and what is in it is not shared with this one. "
            "Give all of them the same keystore, or each a directory of its own, and start them again"
        )


def _is_used(table: Table) -> bool:
    """Tell whether anybody else uses the table, asked under the lock; this process leaves it."""
    table.leave()
    fd = os.open(str(table.path), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        fcntl.flock(fd, fcntl.LOCK_UN)  # a process that is forked just now would keep it
        return False
    finally:
        os.close(fd)


def _open_existing(path: Path) -> int | None:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    status = os.fstat(fd)
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        os.close(fd)
        raise ConfigInvalid(f"{path} is not owned by this user alone; remove it, or run: chmod 600 {path}")
    if status.st_size == TABLE_BYTES and _is_ours(os.pread(fd, 24, 0), boot_number()):
        return fd
    os.close(fd)
    return None


def _create(path: Path, terms: Terms, *, instead_of: Table | None) -> int:
    draft = path.with_name(f"stamps.{os.getpid()}.{os.urandom(4).hex()}")
    fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        _fill(fd, terms)
        if instead_of is not None:
            instead_of.give_up()  # not before there is another: who uses it would be left with none
        draft.rename(path)
    except BaseException:
        os.close(fd)
        draft.unlink(missing_ok=True)
        raise
    return fd


def _fill(fd: int, terms: Terms) -> None:
    """Allocate and initialise a new table. Allocated in full: a full disk must not become a SIGBUS later."""
    os.posix_fallocate(fd, 0, TABLE_BYTES)
    view = memoryview(_header(terms) + _random_cells())
    while view:
        view = view[os.write(fd, view) :]


def _header(terms: Terms) -> bytes:
    words = memoryview(bytearray(HEADER_BYTES)).cast("Q")
    words[MAGIC], words[SIZE], words[BOOT] = _MAGIC, TABLE_BYTES, boot_number()
    words[OWNER_GEN] = int.from_bytes(os.urandom(8), "little") or 1
    # A random start: should an old table's number meet a slot stamped under this one, it does not match.
    words[PREFIX] = int.from_bytes(os.urandom(3), "little") | 1
    words[CLOCK_BASE] = (time.time_ns() - time.clock_gettime_ns(clock_id())) // 1_000_000
    words[SECRET_TAG], words[SCHEME] = terms.secret_tag, terms.scheme.number
    return words.tobytes()


def _random_cells() -> bytes:
    """Return the cells of a new table: doubles in (-2, -1] with 52 random bits each.

    One big-integer operation instead of 600,000 small ones: the sign and exponent bits are set, the rest kept.
    """
    count = CELLS * 8
    sign_and_exponent = int.from_bytes(b"\x00\x00\x00\x00\x00\x00\xf0\xbf" * CELLS, "little")
    mantissa = int.from_bytes(b"\xff\xff\xff\xff\xff\xff\x0f\x00" * CELLS, "little")
    return (int.from_bytes(os.urandom(count), "little") & mantissa | sign_and_exponent).to_bytes(count, "little")
