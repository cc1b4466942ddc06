"""The directory and the files of the store: this user's alone, or refused."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from caching_core import runtime
from caching_core.errors import ConfigInvalid, TierUnavailable
from caching_core.tiers.disk._failures import StoreBusy

SIDE_FILES: Final = ("-wal", "-shm")

_PREFIX: Final = "cache-"
_SUFFIX: Final = ".db"
_CORRUPT: Final = ".corrupt-"
_DRAFT: Final = ".draft-"
_QUARANTINED_FILES: Final = 1  # it may be as large as the store
_DRAFT_SECONDS: Final = 60.0


def own_directory(directory: Path) -> None:
    """Make ``directory`` with mode 0700, or check that it is this user's alone and can be written.

    Raises ConfigInvalid where somebody else owns it or may enter it, TierUnavailable where it cannot be made or written.
    """
    try:
        runtime.own_directory(directory)
    except OSError as error:
        raise TierUnavailable(f"the directory {directory} cannot be made: {error.strerror}; make it, or name another") from error
    if not os.access(directory, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise TierUnavailable(f"the directory {directory} cannot be written; make it writable for this user, or name another")


def file_of(directory: Path, generation: str) -> Path:
    """Return the path of a generation's file."""
    if not generation or not all(sign.isascii() and (sign.isalnum() or sign in "-_") for sign in generation):
        raise ConfigInvalid(f"the generation {generation!r} is no part of a file name; use letters, digits, - and _")
    return directory / f"{_PREFIX}{generation}{_SUFFIX}"


def check_file(path: Path) -> tuple[int, int]:
    """Check that ``path`` is a plain file of this user, closed to others, under one name; return (device, inode)."""
    found = runtime.own_file(path)
    return found.st_dev, found.st_ino


def make_file(path: Path, fill: Callable[[Path], None]) -> None:
    """Make ``path`` once, whoever asks: drafted under another name with mode 0600, filled, then named.

    So nobody meets a half-made file, and no descriptor of the named file is ever closed beside SQLite's own.
    Raises StoreBusy while another makes it.
    """
    try:
        with runtime.directory_locked(path.parent, timeout=0):
            if not path.exists():
                _make(path, fill)
    except BlockingIOError:
        raise StoreBusy("another process makes the file") from None


def _make(path: Path, fill: Callable[[Path], None]) -> None:
    draft = path.with_name(f"{path.name}{_DRAFT}{os.urandom(6).hex()}")
    try:
        os.close(runtime.create_file(draft))
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
    generation = current()
    if not generation:
        return 0  # the store is no longer this process's to tidy
    keep = file_of(directory, generation).name
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
