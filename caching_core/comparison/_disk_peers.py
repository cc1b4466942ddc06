"""Caches in files of one host, none of which encrypts."""

import sqlite3
from importlib import import_module
from pathlib import Path
from time import time

import ormsgpack

from caching_core.comparison._peer import Opened, Peer

_TTL = 300
_SCHEMA = "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL, until REAL NOT NULL) WITHOUT ROWID"
_SELECT = "SELECT value, until FROM entries WHERE key = ?"
_REPLACE = "REPLACE INTO entries VALUES (?, ?, ?)"


class PlainTable:
    """One SQLite table written by hand: what the database itself costs."""

    __slots__ = ("_connection",)

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(directory / "plain.sqlite", isolation_level=None)
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", "PRAGMA mmap_size = 268435456", _SCHEMA):
            self._connection.execute(statement).fetchall()

    def get(self, key: str) -> object:
        """Return the value while it lives, decoded."""
        row = self._connection.execute(_SELECT, (key,)).fetchone()
        if row is None or row[1] <= time():
            return None
        return ormsgpack.unpackb(row[0])

    def put(self, key: str, value: object) -> None:
        """Keep the value for five minutes."""
        self._connection.execute(_REPLACE, (key, ormsgpack.packb(value), time() + _TTL))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _open_table(directory: Path) -> Opened:
    table = PlainTable(directory)
    return Opened(table.get, table.put, table.close)


def _open_diskcache(directory: Path) -> Opened:
    cache = import_module("diskcache").Cache(str(directory / "diskcache"))
    return Opened(cache.get, cache.set, cache.close)


DISK_PEERS = (
    Peer("diskcache", "diskcache", "diskcache", "diskcache", _open_diskcache),
    Peer("sqlite", "plain SQLite", "sqlite3", None, _open_table),
)
