"""Directories and files that belong to this user alone: made so, or refused."""

import fcntl
import os
import secrets
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from caching_core.errors import ConfigInvalid

_OTHERS: Final = 0o077
_RETRY_SECONDS: Final = 0.005


def own_directory(path: Path) -> None:
    """Make ``path`` with mode 0700, or check that it is a directory of this user which nobody else may enter.

    Raises ConfigInvalid where it is a link, another user's, or open to others; OSError where it cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        if not path.is_dir():
            raise ConfigInvalid(f"{path} is not a directory; name a directory of its own for the cache") from None
    else:
        path.chmod(0o700)  # a umask may have taken bits that the owner needs
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise ConfigInvalid(f"the directory {path} is a symbolic link; name the real one, {path.resolve()}")
    refuse_foreign(path, found, "directory", "chmod 700")


def own_file(path: Path) -> os.stat_result:
    """Check that ``path`` is a plain file of this user, closed to others, under one name only; return its stat.

    Looks without opening: closing a second descriptor of a SQLite file would drop this process's locks on
    it. That leaves no race, since ``own_directory`` has shut everybody else out of the directory.
    """
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise ConfigInvalid(f"{path} is a symbolic link; remove it, or put the file itself there")
    if not stat.S_ISREG(found.st_mode):
        raise ConfigInvalid(f"{path} is not a plain file; move it away")
    if found.st_nlink > 1:
        raise ConfigInvalid(f"{path} has {found.st_nlink} hard links; remove the others, it must not be reached from elsewhere")
    refuse_foreign(path, found, "file", "chmod 600")
    return found


def create_file(path: Path) -> int:
    """Create ``path`` with mode 0600 and return its descriptor; FileExistsError if it is there, even as a dangling link."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)  # the same umask
    return descriptor


def identity(path: Path) -> tuple[int, int] | None:
    """Tell which file stands at ``path`` now, so that one put there meanwhile is noticed; None: none does."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def put_in_place(path: Path) -> Generator[tuple[Path, int]]:
    """Yield a draft beside ``path`` and its descriptor; give it the name ``path``, whole and durable, when the block has ended well.

    Nobody ever meets a half-made file under that name. What the block raises removes the draft.
    """
    draft = path.with_name(f".{path.name}.new-{secrets.token_hex(8)}")
    descriptor = create_file(draft)
    try:
        yield draft, descriptor
        os.fsync(descriptor)
    except BaseException:
        draft.unlink()
        raise
    finally:
        os.close(descriptor)
    draft.rename(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make names in ``path`` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def directory_locked(path: Path, *, timeout: float) -> Generator[None]:
    """Hold the directory's own lock, against threads and processes alike, for making a file in it only once.

    Raises BlockingIOError after ``timeout`` seconds.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        give_up = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= give_up:
                    raise
                time.sleep(_RETRY_SECONDS)
        yield
    finally:
        # Closing would not do: a process forked meanwhile has a copy of the descriptor, and the lock with it.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def refuse_foreign(path: Path, found: os.stat_result, kind: str, remedy: str) -> None:
    """Raise ConfigInvalid if ``found``, the stat of ``path``, is another user's or open to others."""
    if found.st_uid != os.geteuid():
        raise ConfigInvalid(f"the {kind} {path} belongs to user {found.st_uid}, not to {os.geteuid()}; chown it or name another")
    if found.st_mode & _OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        raise ConfigInvalid(f"the {kind} {path} has mode {mode:04o}, open to others; run: {remedy} {path}")
