"""Where records wait that the log could not take: a file of lines, each authenticated, added to the chain later."""

import errno
import fcntl
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from caching_core.audit._record import Body, canonical
from caching_core.errors import AuditUnavailable
from caching_core.runtime import own_directory

SPILL_FILE: Final = "audit.spill"
_LARGEST: Final = 16 << 20


@dataclass(slots=True)
class Spilled:
    """What the spill file holds: records with their ids, and how many lines were cut or not ours."""

    bodies: list[Body] = field(default_factory=list[Body])
    ids: list[str] = field(default_factory=list[str])
    torn: int = 0
    rejected: int = 0


class Spill:
    """The spill file of a directory, shared by its processes under a lock.

    A line that was removed leaves no trace: it never had a place in the chain. A line that was changed or added
    without the key is refused, and counted.
    """

    __slots__ = ("_directory", "_key", "_path")

    def __init__(self, directory: Path, key: Callable[[], bytes]) -> None:
        """Open nothing yet; ``key`` authenticates lines."""
        self._directory = directory
        self._path = directory / SPILL_FILE
        self._key = key

    def is_empty(self) -> bool:
        """Return whether nothing waits."""
        try:
            return self._path.lstat().st_size == 0
        except OSError:
            return True

    def add(self, bodies: Sequence[Body]) -> None:
        """Write records down and wait until they are on disk; AuditUnavailable where that is not possible."""
        text = b"".join(self._line(body) for body in bodies)
        try:
            own_directory(self._directory)
            with self._locked(os.O_RDWR | os.O_CREAT | os.O_APPEND) as descriptor:
                size = os.fstat(descriptor).st_size
                if size + len(text) > _LARGEST:
                    raise OSError(errno.EFBIG, "the spill file is full")
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    text = b"\n" + text  # a killed process left half a line; this one must not be joined to it
                if os.write(descriptor, text) != len(text):
                    os.ftruncate(descriptor, size)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(descriptor)
        except OSError as error:
            raise AuditUnavailable(
                f"neither the audit log nor its spill file {self._path} can be written ({error.strerror}); free the disk, then try again"
            ) from error

    @contextmanager
    def replay(self) -> Generator[Spilled]:
        """Lend what waits, and empty the file if the block ends well; AuditUnavailable where the file cannot be read."""
        if self.is_empty():
            yield Spilled()
            return
        try:
            with self._locked(os.O_RDWR) as descriptor:
                text = os.pread(descriptor, 2 * _LARGEST, 0)
                yield self._parse(text)
                os.ftruncate(descriptor, 0)
                os.fsync(descriptor)
        except OSError as error:
            raise AuditUnavailable(f"the spill file {self._path} cannot be read ({error.strerror}); check owner and mode") from error

    @contextmanager
    def _locked(self, flags: int) -> Generator[int]:
        descriptor = os.open(self._path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def _line(self, body: Body) -> bytes:
        spill_id = secrets.token_hex(16)
        return canonical({"id": spill_id, "mac": self._mac(spill_id, body), "body": body}) + b"\n"

    def _mac(self, spill_id: str, body: Body) -> str:
        return hashlib.blake2b(spill_id.encode() + canonical(body), key=self._key(), digest_size=32).hexdigest()

    def _parse(self, text: bytes) -> Spilled:
        spilled = Spilled()
        for line in filter(None, text.split(b"\n")):
            try:
                found = orjson.loads(line)
            except ValueError:
                spilled.torn += 1
                continue
            try:
                is_ours = hmac.compare_digest(self._mac(found["id"], found["body"]), found["mac"])
            except (KeyError, TypeError, AttributeError):
                is_ours = False
            if is_ours:
                spilled.bodies.append(found["body"])
                spilled.ids.append(found["id"])
            else:
                spilled.rejected += 1
        return spilled
