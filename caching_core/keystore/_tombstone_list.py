"""The list of destroyed keys beside the key file: an older copy of the key file cannot bring them back."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from caching_core.errors import KeyUnavailable
from caching_core.runtime import own_file, sync_directory

_KEY_ID_BYTES: Final = 16
_LINE_BYTES: Final = 2 * _KEY_ID_BYTES + 1


class TombstoneList:
    """An append-only file of key ids in hexadecimal, one a line, read again whenever it has grown.

    It is written before the key file forgets a row; a process killed between the two leaves a row that
    ``load`` already refuses. The caller serialises writers.
    """

    __slots__ = ("_ids", "_path", "_seen")

    def __init__(self, path: Path) -> None:
        """Read nothing yet."""
        self._path = path
        self._ids: frozenset[bytes] = frozenset()
        self._seen: tuple[int, int, int] | None = None

    def ids(self) -> frozenset[bytes]:
        """Return every destroyed key id; KeyUnavailable where a whole line is not one."""
        try:
            found = own_file(self._path)
        except FileNotFoundError:
            self._ids, self._seen = frozenset(), None
            return self._ids
        seen = (found.st_ino, found.st_size, found.st_mtime_ns)
        if seen != self._seen:
            self._ids = self._read()
            self._seen = seen
        return self._ids

    def add(self, key_ids: Iterable[bytes]) -> None:
        """Append ids and wait until they are on disk."""
        lines = b"".join(key_id.hex().encode() + b"\n" for key_id in key_ids)
        is_new = not self._path.exists()
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            whole = size - size % _LINE_BYTES
            if whole != size:
                os.ftruncate(descriptor, whole)  # a line that a full disk or a crash cut; its destruction was never confirmed
            if os.write(descriptor, lines) != len(lines):
                raise OSError("the disk took only a part of the list of destroyed keys")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            sync_directory(self._path.parent)

    def _read(self) -> frozenset[bytes]:
        text = self._path.read_bytes()
        whole = text[: len(text) - len(text) % _LINE_BYTES]
        ids: set[bytes] = set()
        for start in range(0, len(whole), _LINE_BYTES):
            line = whole[start : start + _LINE_BYTES]
            try:
                key_id = bytes.fromhex(line[:-1].decode("ascii"))
            except ValueError:
                key_id = b""
            if len(key_id) != _KEY_ID_BYTES or line[-1:] != b"\n":
                raise KeyUnavailable(
                    f"the list of destroyed keys {self._path} is damaged in line {start // _LINE_BYTES + 1}; restore it from a backup"
                )
            ids.add(key_id)
        return frozenset(ids)
