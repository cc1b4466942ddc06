"""The history of one process: fixed records of 40 bytes, appended to a mapped file that outlives ``kill -9``.

Layout: a page of header, then records. A record's last byte is its kind and is written last; the first
record of kind 0 ends the history, so whatever a killed process had begun does not count.
Times are CLOCK_MONOTONIC in nanoseconds, one clock for all processes of a host.
"""

import enum
import mmap
import os
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from caching_core.runtime import Mutex

RECORD: Final = struct.Struct("<qqQQIHBB")
HEADER_BYTES: Final = 4096

_HEADER: Final = struct.Struct("<8sIIQ")
_MAGIC: Final = b"CCHIST01"
_GROWTH: Final = 1 << 20
_UNKNOWN: Final = 2


class Kind(enum.IntEnum):
    """What happened."""

    WRITE = 1
    READ = 2
    MISS = 3
    INVALIDATION = 4
    MEMBER = 5
    FAULT = 6
    ERROR = 7
    TOUCH = 8
    CHANGE = 9
    COUNT = 10


class Scope(enum.IntEnum):
    """What an invalidation was of."""

    KEY = 0
    TAG = 1
    NAMESPACE = 2
    TENANT = 3


class Tier(enum.IntEnum):
    """Where a read found its value, as far as the reader knows."""

    UNKNOWN = 0
    L1 = 1
    L2 = 2
    L3 = 3
    LOADED = 9


@dataclass(frozen=True, slots=True)
class Record:
    """One event; which fields count depends on ``kind``: see the methods of ``Recorder``."""

    kind: Kind
    key: int
    begin: int
    end: int
    version: int = 0
    aux: int = 0
    tenant: int = 0
    detail: int = 0


class Recorder:
    """Appends to the history of this process. Thread-safe. A forked child makes its own."""

    __slots__ = ("_at", "_fd", "_map", "_mutex", "_size", "path")

    def __init__(self, directory: Path, process: int) -> None:
        """Start a new history for process number ``process``, beside any earlier ones of that number."""
        self.path = directory / f"history-{process:04d}-{os.getpid()}-{time.monotonic_ns()}.bin"
        self._mutex = Mutex()
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._size = HEADER_BYTES + _GROWTH
        os.posix_fallocate(self._fd, 0, self._size)
        self._map = mmap.mmap(self._fd, self._size)
        _HEADER.pack_into(self._map, 0, _MAGIC, process, os.getpid(), clock_number())
        self._at = HEADER_BYTES

    def wrote(self, key: int, version: int, begin: int, *, acked: int = 0, visible: int = 0) -> None:
        """Record that the truth of ``key`` became ``version``.

        ``begin`` is just before it could be read, ``visible`` just after (0: not yet known), ``acked`` when
        the invalidation of this very write returned (0: not, or by an ``invalidated`` record). A writer that may
        be killed records twice: before, with ``begin`` alone, and after.
        """
        self._append(begin, acked, version, visible, key, 0, 0, Kind.WRITE)

    def read(
        self, key: int, version: int, begin: int, end: int, *, deadline: int = 0, tier: Tier = Tier.UNKNOWN, foreign: bool = False
    ) -> None:
        """Record a read that returned ``version``.

        ``deadline``: start of the value's load plus its hard lifetime (0: none). ``foreign``: the value says that
        it belongs to another key or tenant.
        """
        self._append(begin, end, version, deadline, key, int(foreign), tier, Kind.READ)

    def missed(self, key: int, begin: int, end: int) -> None:
        """Record a read that found nothing."""
        self._append(begin, end, 0, 0, key, 0, 0, Kind.MISS)

    def invalidated(self, scope: Scope, name: int, begin: int, end: int = 0) -> None:
        """Record an invalidation that was called at ``begin`` and had returned at ``end``: of a key, or of a group by its number.

        Of what holds counters, who may be killed records twice: before, with ``begin`` alone, and after.
        """
        self._append(begin, end, 0, 0, name, 0, scope, Kind.INVALIDATION)

    def touched(self, key: int, begin: int, end: int = 0, *, limit: int = 0, found: bool | None = None) -> None:
        """Record that the value of ``key`` was kept, with another lifetime: before, with ``begin`` alone, and after.

        ``limit``: until when it may be read (0: for ever); ``found``: whether there was one, None if the call raised.
        """
        self._append(begin, end, 0, limit, key, _UNKNOWN if found is None else int(found), 0, Kind.TOUCH)

    def changed(self, counter: int, begin: int, end: int = 0, *, turn: int = 0) -> None:
        """Record a change of a counter: before, with ``begin`` alone, and after.

        ``turn``: how many changes it then counted, 0 if the call raised.
        """
        self._append(begin, end, turn, 0, counter, 0, 0, Kind.CHANGE)

    def counted(self, counter: int, turn: int, begin: int, end: int) -> None:
        """Record a read of a counter that found ``turn`` changes counted, 0 for nothing."""
        self._append(begin, end, turn, 0, counter, 0, 0, Kind.COUNT)

    def member(self, key: int, scope: Scope, name: int) -> None:
        """Record that ``key`` belongs to group ``name`` (a tag, a namespace, a tenant) throughout."""
        self._append(0, 0, 0, name, key, 0, scope, Kind.MEMBER)

    def fault(self, begin: int, end: int, *, code: int = 0) -> None:
        """Record a window in which something was broken on purpose; I3 is not asked for across it."""
        self._append(begin, end, 0, code, 0, 0, 0, Kind.FAULT)

    def failed(self, key: int, begin: int, end: int) -> None:
        """Record a call that raised."""
        self._append(begin, end, 0, 0, key, 0, 0, Kind.ERROR)

    def _append(self, *fields: int) -> None:
        with self._mutex:
            at = self._at
            if at + RECORD.size > self._size:
                self._grow()
            RECORD.pack_into(self._map, at, *fields)
            self._at = at + RECORD.size

    def _grow(self) -> None:
        os.posix_fallocate(self._fd, self._size, _GROWTH)
        self._size += _GROWTH
        self._map.resize(self._size)

    def close(self) -> None:
        """Cut the file to its length. Safe to call twice."""
        with self._mutex:
            if self._fd < 0:
                return
            self._map.close()
            os.ftruncate(self._fd, self._at)
            os.close(self._fd)
            self._fd = -1


def clock_number() -> int:
    """Return a number of the clock that records are dated by: histories of different clocks cannot be compared."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
        # Processes of another time namespace count from another zero.
        boot += Path("/proc/self/timens_offsets").read_bytes()
    except OSError:
        boot = sys.platform.encode()
    return int.from_bytes(sha256(boot).digest()[:8], "little")


def read_history(path: Path) -> tuple[int, Iterator[tuple[int, ...]]]:
    """Return the process number and the raw records of a history. Raises ValueError for a file that is none.

    A raw record is (begin, end, version, aux, key, tenant, detail, kind).
    """
    data = path.read_bytes()
    if len(data) < _HEADER.size or data[:8] != _MAGIC:
        raise ValueError(f"{path} is not a history; give files that a Recorder made")
    _, process, _, clock = _HEADER.unpack_from(data)
    if clock != clock_number():
        raise ValueError(f"{path} was recorded under another clock (another boot or host); check it where it was made")
    return process, _records(data)


def _records(data: bytes) -> Iterator[tuple[int, ...]]:
    body = memoryview(data)[HEADER_BYTES:]
    for fields in RECORD.iter_unpack(body[: len(body) // RECORD.size * RECORD.size]):
        if fields[-1] == 0:
            return
        yield fields
