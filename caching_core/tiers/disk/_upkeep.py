"""What keeps the file small: expiry, eviction, and what the log and the volume may take.

Eviction is a second-chance clock over the rows in the order they were first written: a hand passes over
them, takes who was neither read nor rewritten since its last visit and forgives the others once. Reads
are only remembered (in memory, by the process that reads) while the store is nearly full.
"""

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from caching_core.tiers._protocol import StoreUsage
from caching_core.tiers.disk._schema import PAGE_BYTES

REMEMBERED_READS: Final = 4096

_MIB: Final = 1 << 20
_LEAST_BUDGET: Final = 256 * 1024
_VOLUME_KEPT_FREE: Final = 10  # a tenth
_CLOCK_ROWS: Final = 64
_CLOCK_ROUNDS: Final = 12
_SCAN_ROWS: Final = 2048
_LEASES_SWEPT: Final = 1024
_MARKED_READS: Final = 512
_VACUUM_PAGES: Final = 1024
_NEARLY_FULL: Final = 0.75
_COUNTED_EXACTLY: Final = 4096 * PAGE_BYTES

_SIZE: Final = (
    "SELECT pages.page_count - free.freelist_count, pages.page_count FROM pragma_page_count AS pages, pragma_freelist_count AS free"
)
_META: Final = "SELECT value FROM meta WHERE name = ?"
_SET_META: Final = "INSERT INTO meta(name, value) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET value = ?2"
_ADD_META: Final = "INSERT INTO meta(name, value) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET value = value + ?2"
_AHEAD: Final = "SELECT COUNT(*), MAX(id), TOTAL(expires <= ?1) FROM (SELECT id, expires FROM entries WHERE id > ?2 ORDER BY id LIMIT ?3)"
_EXPIRE: Final = "DELETE FROM entries WHERE id > ? AND id <= ? AND expires <= ?"
_EVICT: Final = "DELETE FROM entries WHERE id > ? AND id <= ? AND used = 0"
_FORGIVE: Final = "UPDATE entries SET used = 0 WHERE id > ? AND id <= ? AND used <> 0"
_USED: Final = "UPDATE entries SET used = 1 WHERE name = ? AND used = 0"
_LEASES: Final = "DELETE FROM leases WHERE name IN (SELECT name FROM leases WHERE until <= ? LIMIT ?)"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the store may take. The log's share is part of ``max_bytes``; ``check_bytes`` of frames pass between two looks."""

    max_bytes: int
    directory: Path

    @property
    def checkpoint_bytes(self) -> int:
        """Return the size of the log at which a writer checkpoints it by itself, should nobody call ``maintain``."""
        return min(max(self.max_bytes // 16, _LEAST_BUDGET), 32 * _MIB)

    @property
    def most_log_bytes(self) -> int:
        """Return the size of the log above which a stuck reader costs the store its content."""
        return max(self.max_bytes // 4, 2 * self.checkpoint_bytes, 16 * _MIB)

    @property
    def check_bytes(self) -> int:
        """Return after how many bytes of frames a writer looks at the size by itself."""
        return min(max(self.max_bytes // 256, 64 * 1024), 256 * 1024)

    @property
    def largest_frame(self) -> int:
        """Return the size of a frame above which it is not kept."""
        return self.max_bytes // 4

    def budget(self, file_bytes: int) -> int:
        """Return what the pages in use may take now: ``max_bytes`` less the log, and a tenth of the volume stays free."""
        budget = self.max_bytes - 2 * self.checkpoint_bytes
        volume = os.statvfs(self.directory)
        spare = (volume.f_bavail - volume.f_blocks // _VOLUME_KEPT_FREE) * volume.f_frsize
        return max(min(budget, file_bytes + spare), _LEAST_BUDGET)


def sizes_of(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return (bytes of the pages in use, bytes of the file)."""
    used, pages = connection.execute(_SIZE).fetchone()
    return used * PAGE_BYTES, pages * PAGE_BYTES


def relieve(connection: sqlite3.Connection, bounds: Bounds) -> bool:
    """Evict a bounded number of rows if the store is over its budget; tell whether it still is. Needs a transaction."""
    used, size = sizes_of(connection)
    target = bounds.budget(size)
    evicted = 0
    for _round in range(_CLOCK_ROUNDS):
        if used <= target:
            break
        evicted += _evict_some(connection)
        used, size = sizes_of(connection)
    if evicted:
        connection.execute(_ADD_META, ("evicted", evicted))
    return used > target


def _evict_some(connection: sqlite3.Connection) -> int:
    hand = _meta(connection, "hand")
    count, last, _expired = connection.execute(_AHEAD, (0, hand, _CLOCK_ROWS)).fetchone()
    evicted = 0
    if count:
        evicted = connection.execute(_EVICT, (hand, last)).rowcount
        connection.execute(_FORGIVE, (hand, last))
    connection.execute(_SET_META, ("hand", last if count == _CLOCK_ROWS else 0))
    return evicted


def expired_ahead(connection: sqlite3.Connection, now: int) -> tuple[int, int, bool]:
    """Look at the next rows: return (first, last) around them and whether any is past its time. Only reads."""
    start = _meta(connection, "scan")
    count, last, expired = connection.execute(_AHEAD, (now, start, _SCAN_ROWS)).fetchone()
    return start, last if count == _SCAN_ROWS else 0, expired > 0


def expire(connection: sqlite3.Connection, now: int) -> bool:
    """Remove what is past its time among the next rows; tell whether it was more than a tenth. Needs a transaction."""
    start = _meta(connection, "scan")
    count, last, _expired = connection.execute(_AHEAD, (now, start, _SCAN_ROWS)).fetchone()
    removed: int = 0
    if count:
        removed = connection.execute(_EXPIRE, (start, last, now)).rowcount
    if removed:
        connection.execute(_ADD_META, ("expired", removed))
    connection.execute(_SET_META, ("scan", last if count == _SCAN_ROWS else 0))
    return removed * 10 > int(count)


def sweep_leases(connection: sqlite3.Connection, now: int) -> None:
    """Remove leases that ran out."""
    connection.execute(_LEASES, (now, _LEASES_SWEPT))


def mark_read(connection: sqlite3.Connection, names: list[str]) -> None:
    """Give rows that were read a second round."""
    connection.executemany(_USED, ((name,) for name in names[:_MARKED_READS]))


def claim(connection: sqlite3.Connection, owner: int, now: int, *, turn_ms: int) -> bool:
    """Take the turn to do the upkeep for all processes; False while another's lasts. Needs a transaction."""
    if _meta(connection, "owner") != owner and 0 <= now - _meta(connection, "turn") < turn_ms:
        return False
    connection.execute(_SET_META, ("owner", owner))
    connection.execute(_SET_META, ("turn", now))
    return True


def is_nearly_full(connection: sqlite3.Connection, bounds: Bounds) -> bool:
    """Tell whether eviction is near, so that reads are worth remembering."""
    used, size = sizes_of(connection)
    return used > bounds.budget(size) * _NEARLY_FULL


def give_back(connection: sqlite3.Connection, bounds: Bounds) -> None:
    """Return free pages to the volume, a bounded number, where the file is larger than it may be. Outside a transaction."""
    used, size = sizes_of(connection)
    pages = (size - max(used, bounds.budget(size))) // PAGE_BYTES
    if pages > 0:
        # A script, because ``execute`` takes one step of a statement without columns: one page.
        connection.executescript(f"PRAGMA incremental_vacuum({min(pages, _VACUUM_PAGES)})")


def usage_of(connection: sqlite3.Connection, now: int, *, log_bytes: int) -> StoreUsage:
    """Count what the file holds: exactly up to 16 MiB; above, names are counted and bytes estimated from the pages."""
    used, size = sizes_of(connection)
    if size <= _COUNTED_EXACTLY:
        entries, frame_bytes = connection.execute("SELECT COUNT(*), TOTAL(size) FROM entries WHERE expires > ?", (now,)).fetchone()
    else:
        (entries,) = connection.execute("SELECT COUNT(*) FROM entries").fetchone()
        sampled, mean = connection.execute("SELECT COUNT(*), AVG(size) FROM (SELECT size FROM entries LIMIT 1000)").fetchone()
        frame_bytes = min(entries * mean if sampled else 0, used)
    (leases,) = connection.execute("SELECT COUNT(*) FROM leases").fetchone()
    return StoreUsage(
        entries=entries,
        frame_bytes=int(frame_bytes),
        stored_bytes=size + log_bytes,
        evicted=_meta(connection, "evicted"),
        expired=_meta(connection, "expired"),
        details={"exact": size <= _COUNTED_EXACTLY, "log_bytes": log_bytes, "used_bytes": used, "leases": leases},
    )


def _meta(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute(_META, (name,)).fetchone()
    if row is None:
        return 0
    value: int = row[0]
    return value
