"""The key file: made once, whole, for its owner alone, and refused when it is anything else."""

import base64
import errno
import os
import stat
from pathlib import Path
from typing import Final

from caching_core.crypto._xaes import KEY_SIZE, Random
from caching_core.errors import ConfigInvalid, KeyUnavailable
from caching_core.runtime import refuse_foreign, sync_directory

FileSignature = tuple[int, int, int, int]

_LARGEST: Final = 65536


def make_key_file(path: str | Path, *, random: Random = os.urandom) -> bool:
    """Make a key file with one fresh key, mode 0600, unless one is there; return whether it was this call.

    Of several processes that try at once exactly one makes it, and no reader ever sees a part of it: the
    file gets its name only when it is whole and on disk. The directory must exist.
    """
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}-{random(8).hex()}")
    try:
        _write_new(draft, base64.b64encode(random(KEY_SIZE)) + b"\n")
        try:
            os.link(draft, target)
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        sync_directory(target.parent)
    except OSError as error:
        raise KeyUnavailable(f"the key file {target} cannot be made: {error.strerror or error}; check its directory") from error
    return True


def read_key_file(path: Path) -> tuple[list[str], FileSignature]:
    """Return the lines of the key file that are not empty, and what tells a later version of it from this one.

    ConfigInvalid where it is a link, no plain file, another user's, open to others; KeyUnavailable where it
    is not there or cannot be read.
    """
    try:
        # NONBLOCK: a pipe under this name must not hold the process up.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise KeyUnavailable(f"the key file {path} is not there; make one with `caching keystore new-key`") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ConfigInvalid(f"the key file {path} is a symbolic link; put the file itself there") from None
        raise KeyUnavailable(f"the key file {path} cannot be opened: {error.strerror}; check owner and mode") from error
    try:
        found = os.fstat(descriptor)
        _refuse_unfit(path, found)
        text = os.read(descriptor, _LARGEST).decode("ascii", errors="replace")
    except OSError as error:
        raise KeyUnavailable(f"the key file {path} cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)
    return [line for line in text.splitlines() if line.strip()], _signature(found)


def file_signature(path: Path) -> FileSignature | None:
    """Return the signature of what stands at ``path`` now, or None."""
    try:
        return _signature(path.lstat())
    except OSError:
        return None


def _signature(found: os.stat_result) -> FileSignature:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _refuse_unfit(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ConfigInvalid(f"the key file {path} is not a plain file; name another")
    refuse_foreign(path, found, "key file", "chmod 600")
    if found.st_size >= _LARGEST:
        raise ConfigInvalid(f"the key file {path} has {found.st_size} bytes, too many for keys; name another")


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)  # a umask may take from the mode, and the owner must be able to read it
        if os.write(descriptor, content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    except BaseException:
        path.unlink()
        raise
    finally:
        os.close(descriptor)
