"""The tables of the store's file, and how a connection to it is made.

Layout by measurement (20,000 rows of 1.1 KB; us of CPU to read, to overwrite, to add, on a busy machine): a
rowid table with a unique index on the name 3.0, 14, 17; a table WITHOUT ROWID 17, 34, 43 (rows spill to
overflow pages); 64-bit hashes as rowids 3.6, 14, 29 (pages split at random); names and frames in two
tables 3.1, 17, 20; an index on the expiry adds 4 to each write; with pages of 8 KiB 3.0, 18, 20.
"""

import sqlite3
from pathlib import Path
from typing import Any, Final

from caching_core.tiers.disk._failures import FileDamaged

PAGE_BYTES: Final = 4096
NEVER_MS: Final = (1 << 63) - 1

_FORMAT: Final = 3
_STATEMENTS: Final = 64
_CACHE_KIB: Final = 4096

# The columns that upkeep scans stand before the frame, so that it never follows a row to its overflow pages.
_TABLES: Final = (
    """CREATE TABLE entries(id INTEGER PRIMARY KEY, expires INTEGER NOT NULL, used INTEGER NOT NULL, size INTEGER NOT NULL,
       version INTEGER NOT NULL DEFAULT 0,
       name TEXT NOT NULL UNIQUE, frame BLOB NOT NULL)""",
    "CREATE TABLE leases(name TEXT PRIMARY KEY, token BLOB NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID",
    # A new epoch takes a new id: the fields of the old one are unreachable at once and swept later.
    """CREATE TABLE tenants(id INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL UNIQUE, epoch BLOB NOT NULL,
       seq INTEGER NOT NULL, floor INTEGER NOT NULL, tags INTEGER NOT NULL)""",
    "CREATE TABLE fields(tenant INTEGER, field TEXT, value INTEGER NOT NULL, PRIMARY KEY(tenant, field)) WITHOUT ROWID",
    "CREATE TABLE forgotten(tenant INTEGER PRIMARY KEY)",
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    # Whoever writes an entry voids its lease; done here, a set is one statement, which is a transaction of its own: 19 us
    # where four statements took 28. To mark an entry stale leaves its version, and so its lease.
    "CREATE TRIGGER void_added AFTER INSERT ON entries BEGIN DELETE FROM leases WHERE name = NEW.name; END",
    "CREATE TRIGGER void_changed AFTER UPDATE OF version ON entries BEGIN DELETE FROM leases WHERE name = NEW.name; END",
)


class Connection(sqlite3.Connection):
    """A connection with a cursor of its own for the calls that are made most: making one for each costs a tenth of a read."""

    __slots__ = ("kept_cursor",)

    def __init__(self, *arguments: Any, **options: Any) -> None:  # Any: sqlite3's own, passed on
        super().__init__(*arguments, **options)
        self.kept_cursor = self.cursor()

    def close(self) -> None:
        """Close, the cursor first: its last statement would keep the file open."""
        self.kept_cursor.close()
        super().close()


def lay_out(path: Path) -> None:
    """Write the empty tables into a new file, or raise and leave a file that is good for nothing.

    Straight into the file: what a log still held at the end would be lost without a word where the disk is full.
    """
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("BEGIN")
        for table in _TABLES:
            connection.execute(table)
        connection.execute(f"PRAGMA user_version={_FORMAT}")
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def connect(path: Path, *, checkpoint_pages: int) -> Connection:
    """Open the file, which must be there and of our format."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=0.0,  # waiting is the caller's: a loop must not stand still
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENTS,
        factory=Connection,
    )
    try:
        # No fsync, ever: a file outlives no reboot (its generation does not), and what a process wrote before it died the
        # kernel has. With NORMAL a step of upkeep takes 14 ms instead of 1.5, and who writes first after it may wait for the disk.
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint={checkpoint_pages}")
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA cell_size_check=ON")
        connection.execute("PRAGMA mmap_size=0")  # a file cut short must be an error, not a SIGBUS
        if connection.execute("PRAGMA user_version").fetchone()[0] != _FORMAT:
            raise FileDamaged("the file is of another format")
    except BaseException:
        connection.close()
        raise
    return connection
