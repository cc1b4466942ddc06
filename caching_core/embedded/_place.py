"""The private directory of a server: its socket, its log, its data; locked while somebody supervises a server there."""

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

from caching_core.errors import ConfigInvalid, TierUnavailable
from caching_core.runtime import own_directory

_PREFIX: Final = "caching-valkey-"
# A directory that was made and not locked yet is not taken for one that was left behind.
_SWEEP_SECONDS: Final = 60.0
_SOCKET: Final = "server.sock"
_MAX_SOCKET_BYTES: Final = 107
_TAIL_BYTES: Final = 4096
_TAIL_LINES: Final = 15
_DATA: Final = ("appendonlydir", "appendonly.aof", "dump.rdb")


class Place:
    """A directory that this process holds until ``leave``."""

    def __init__(self, directory: Path | None) -> None:
        self._is_temporary = directory is None
        try:
            if directory is None:
                _sweep()
                self.directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
            else:
                self.directory = directory.absolute()
                own_directory(self.directory)
            self._lock = _locked(self.directory)
        except OSError as problem:
            raise TierUnavailable(f"no directory for a server: {problem}") from problem
        if self._lock is None:
            raise ConfigInvalid(f"the directory {self.directory} is in use by another server; name another, or stop that one")

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.directory / "server.log"

    def socket(self) -> Path:
        """Return the path of the unix socket; ConfigInvalid if the system could not hold it."""
        path = self.directory / _SOCKET
        if len(os.fsencode(path)) > _MAX_SOCKET_BYTES:
            raise ConfigInvalid(f"{path} is longer than a unix socket's path may be; name a shorter directory, or set TMPDIR to one")
        return path

    def log_size(self) -> int:
        """Return how long the log is now."""
        try:
            return self.log.stat().st_size
        except FileNotFoundError:
            return 0

    def log_tail(self, begin: int) -> str:
        """Return the last lines of the log, none of them from before ``begin``."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(begin, self.log_size() - _TAIL_BYTES))
                lines = file.read().decode(errors="replace").splitlines()
        except OSError as problem:
            return f"(the log cannot be read: {problem})"
        return "\n".join(lines[-_TAIL_LINES:]) or "(it said nothing)"

    def empty(self) -> None:
        """Remove the data, so that the next server here starts without them."""
        for name in _DATA:
            path = self.directory / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def leave(self) -> None:
        """Give the directory up, and remove it if it was a temporary one; only once."""
        if self._lock is None:
            return
        if self._is_temporary:
            shutil.rmtree(self.directory, ignore_errors=True)
        else:
            (self.directory / _SOCKET).unlink(missing_ok=True)
        # Closing would not do: a process forked meanwhile has a copy of the descriptor, and the lock with it.
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        os.close(self._lock)
        self._lock = None


def _locked(directory: Path) -> int | None:
    """Lock a directory and return the descriptor that holds the lock; None if another one does."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _sweep() -> None:
    """Remove the directories of supervisors that were killed."""
    for path in Path(tempfile.gettempdir()).glob(_PREFIX + "*"):
        try:
            found = path.lstat()
            if found.st_uid != os.geteuid() or time.time() - found.st_mtime < _SWEEP_SECONDS:
                continue
            descriptor = _locked(path)
        except OSError:  # gone meanwhile, or no directory: not ours to judge
            continue
        if descriptor is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(descriptor)
