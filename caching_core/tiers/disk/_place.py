"""The directory and the files of the store: this user's alone, or refused."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from caching_core.errors import ConfigInvalid, TierUnavailable
from caching_core.tiers.disk._failures import StoreBusy

SIDE_FILES: Final = ("-wal", "-shm")

_PREFIX: Final = "cache-"
_SUFFIX: Final = ".db"
_CORRUPT: Final = ".corrupt-"
_DRAFT: Final = ".draft-"
_QUARANTINED_FILES: Final = 1  # it may be as large as the store
_OTHERS: Final = 0o077
_DRAFT_SECONDS: Final = 60.0


def own_directory(directory: Path) -> None:
    """Make ``directory`` with mode 0700, or check that it is this user's alone and can be written.

    Raises ConfigInvalid where somebody else owns it or may enter it, TierUnavailable where it cannot be made or written.
    """
    try:
        _make_directory(directory)
        found = directory.lstat()
    except FileExistsError:
        raise ConfigInvalid(f"{directory} is not a directory; name a directory of its own for the cache") from None
    except OSError as error:
        raise TierUnavailable(f"the directory {directory} cannot be made: {error.strerror}; make it, or name another") from error
    if stat.S_ISLNK(found.st_mode):
        raise ConfigInvalid(f"the directory {directory} is a symbolic link; name the real one, {directory.resolve()}")
    _refuse_foreign(directory, found, "chmod 700")
    if not os.access(directory, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise TierUnavailable(f"the directory {directory} cannot be written; make it writable for this user, or name another")


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        if not directory.is_dir():
            raise
    else:
        directory.chmod(0o700)  # a umask may have taken bits that the owner needs


def file_of(directory: Path, generation: str) -> Path:
    """Return the path of a generation's file."""
    if not generation or not all(sign.isascii() and (sign.isalnum() or sign in "-_") for sign in generation):
        raise ConfigInvalid(f"the generation {generation!r} is no part of a file name; use letters, digits, - and _")
    return directory / f"{_PREFIX}{generation}{_SUFFIX}"


def check_file(path: Path) -> tuple[int, int]:
    """Check that ``path`` is a plain file of this user, closed to others, under one name; return (device, inode).

    Looks without opening: closing a second descriptor of a SQLite file drops this process's locks on it.
    That leaves no race, since ``own_directory`` keeps everybody else out of the directory.
    """
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise ConfigInvalid(f"{path} is a link or no plain file; remove it, the cache makes its own")
    if found.st_nlink > 1:
        raise ConfigInvalid(f"{path} has {found.st_nlink} hard links; remove it, the cache makes its own")
    _refuse_foreign(path, found, "chmod 600")
    return found.st_dev, found.st_ino


def make_file(path: Path, fill: Callable[[Path], None]) -> None:
    """Make ``path`` once, whoever asks: drafted under another name with mode 0600, filled, then named.

    So nobody meets a half-made file, and no descriptor of the named file is ever closed beside SQLite's own.
    Raises StoreBusy while another makes it.
    """
    with _directory_locked(path.parent):
        if path.exists():
            return
        draft = path.with_name(f"{path.name}{_DRAFT}{os.urandom(6).hex()}")
        try:
            os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
            draft.chmod(0o600)  # the same umask
            fill(draft)
            draft.rename(path)
        finally:
            remove_file(draft)


def remove_file(path: Path) -> None:
    """Remove a store's file and what SQLite keeps beside it; what is gone already is no error."""
    for name in (path, *(path.with_name(path.name + side) for side in SIDE_FILES)):
        try:
            name.unlink()
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.EROFS, errno.EACCES, errno.EPERM}:
                raise


def quarantine(path: Path, *, now: int) -> Path | None:
    """Rename a damaged file so that it can be looked at; keep only the newest such file."""
    kept = path.with_name(f"{path.name}{_CORRUPT}{now}")
    try:
        path.rename(kept)
    except OSError:
        return None
    older = sorted(path.parent.glob(f"{_PREFIX}*{_CORRUPT}*"), key=lambda file: file.name.rpartition("-")[2].rjust(24, "0"))
    for file in older[:-_QUARANTINED_FILES]:
        file.unlink(missing_ok=True)
    remove_file(path)  # the WAL: without its file it tells nothing
    return kept


def sweep(directory: Path, current: Callable[[], str]) -> int:
    """Remove the files of other generations, and drafts of processes that died; return how many.

    The names are listed *before* the generation is read: what is listed and is not current is older.
    """
    names = [entry.name for entry in os.scandir(directory) if entry.name.startswith(_PREFIX)]
    keep = file_of(directory, current()).name
    removed = 0
    for name in names:
        base, _, draft = name.partition(_DRAFT)
        if not base.endswith((_SUFFIX, *(_SUFFIX + side for side in SIDE_FILES))):
            continue
        if _stale(directory / name) if draft else name not in {keep, *(keep + side for side in SIDE_FILES)}:
            (directory / name).unlink(missing_ok=True)
            removed += 1
    return removed


def size_of(path: Path) -> int:
    """Return a file's size, 0 where there is none."""
    try:
        return path.stat(follow_symlinks=False).st_size
    except OSError:
        return 0


def _stale(draft: Path) -> bool:
    try:
        return time.time() - draft.lstat().st_mtime > _DRAFT_SECONDS
    except OSError:
        return False


@contextmanager
def _directory_locked(directory: Path) -> Generator[None]:
    """Hold the directory's lock, against threads and processes alike, or raise StoreBusy at once."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreBusy("another process makes the file") from None
        yield
    finally:
        os.close(descriptor)


def _refuse_foreign(path: Path, found: os.stat_result, remedy: str) -> None:
    if found.st_uid != os.geteuid():
        raise ConfigInvalid(f"{path} belongs to user {found.st_uid}, not to {os.geteuid()}; chown it, or name another directory")
    if found.st_mode & _OTHERS:
        raise ConfigInvalid(f"{path} has mode {stat.S_IMODE(found.st_mode):04o}, open to others; run: {remedy} {path}")
