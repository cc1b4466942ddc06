"""Frames and leases in the file: what each call does inside one transaction."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from caching_core.tiers._protocol import FRESH_MARK, STALE_MARK, Delete, EntryChange, Expect, MarkStale, Put
from caching_core.tiers.disk._schema import NEVER_MS

READ: Final = "SELECT frame FROM entries WHERE name = ?"

_READ: Final = "SELECT frame, expires FROM entries WHERE name = ?"

_NONCE: Final = slice(57, 81)  # bytes 56 to 80 of the frame, behind the mark byte
_FRESH: Final = bytes([FRESH_MARK])
_STALE: Final = bytes([STALE_MARK])

# Who is written again while it waits for eviction has earned a second round, as if it had been read.
_WRITE: Final = """INSERT INTO entries(expires, used, size, version, name, frame) VALUES(?1, 0, ?2, ?5, ?3, ?4)
    ON CONFLICT(name) DO UPDATE SET expires = ?1, used = 1, size = ?2, version = ?5, frame = ?4 WHERE version <= ?5"""
_REMOVE: Final = "DELETE FROM entries WHERE name = ?"
_EXPIRES: Final = "SELECT expires FROM entries WHERE name = ?"
_MARK: Final = "UPDATE entries SET frame = CAST(?1 || substr(frame, 2) AS BLOB) WHERE name = ?2 AND expires > ?3"
_VOID: Final = "DELETE FROM leases WHERE name = ?"
_SPEND: Final = "DELETE FROM leases WHERE name = ? AND token = ? AND until > ?"
_LEASED: Final = "SELECT until FROM leases WHERE name = ?"
_TAKE: Final = "INSERT OR REPLACE INTO leases(name, token, until) VALUES(?, ?, ?)"
_RELEASE: Final = "DELETE FROM leases WHERE name = ? AND token = ?"
_NAMES: Final = "SELECT name FROM entries WHERE name > ?1 AND name >= ?2 AND expires > ?3 ORDER BY name LIMIT ?4"
_NAMES_BELOW: Final = _NAMES.replace("ORDER", "AND name < ?5 ORDER")
_LAST_SIGN: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)


def read(connection: sqlite3.Connection, name: str, now: int) -> bytes | None:
    """Return the living frame under ``name``, mark byte first."""
    row = connection.execute(_READ, (name,)).fetchone()
    if row is None or row[1] <= now:
        return None
    frame: bytes = row[0]
    return frame


def change(connection: sqlite3.Connection, wanted: EntryChange, now: int, *, largest: int) -> bool:
    """Do one change, if its conditions hold; tell whether it happened."""
    if type(wanted) is Put:
        return _put(connection, wanted, now, largest)
    if type(wanted) is Delete:
        return _delete(connection, wanted, now)
    assert isinstance(wanted, MarkStale)  # noqa: S101  the union has no other
    return connection.execute(_MARK, (_STALE, wanted.name, now)).rowcount > 0


def _put(connection: sqlite3.Connection, put: Put, now: int, largest: int) -> bool:
    name = put.name
    if put.not_after_ms is not None and now > put.not_after_ms:
        return False
    if put.expect is not Expect.ANYTHING and not _stands(connection, name, put.expect, now):
        return False
    if put.token is not None and connection.execute(_SPEND, (name, put.token, now)).rowcount == 0:
        return False
    size = len(put.frame)
    if size > largest:  # kept out, and what it was to replace must not come back in its place
        connection.execute(_REMOVE, (name,))
        connection.execute(_VOID, (name,))
        return False
    expires = NEVER_MS if put.expires_ms is None else put.expires_ms
    return connection.execute(_WRITE, (expires, size, name, _FRESH + put.frame, put.version_no)).rowcount > 0


def put_alone(cursor: sqlite3.Cursor, name: str, frame: bytes, *, expires_ms: int | None, version_no: int) -> bool:
    """Write an entry in a transaction of its own; False if another process writes or a newer one stands."""
    expires = NEVER_MS if expires_ms is None else expires_ms
    try:
        return cursor.execute(_WRITE, (expires, len(frame), name, _FRESH + frame, version_no)).rowcount > 0
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False


def _delete(connection: sqlite3.Connection, delete: Delete, now: int) -> bool:
    name = delete.name
    if delete.expect is Expect.ANYTHING:
        row = connection.execute(_EXPIRES, (name,)).fetchone()
        was_there = row is not None and row[0] > now
    elif delete.expect is Expect.ABSENT or not _stands(connection, name, delete.expect, now):
        return False
    else:
        was_there = True
    connection.execute(_REMOVE, (name,))
    connection.execute(_VOID, (name,))
    return was_there


def _stands(connection: sqlite3.Connection, name: str, expect: bytes | Expect, now: int) -> bool:
    found = read(connection, name, now)
    if expect is Expect.ABSENT:
        return found is None
    return found is not None and found[_NONCE] == expect


def standing(connection: sqlite3.Connection, name: str, bad: bytes | None, now: int) -> bytes | None:
    """Return the living frame under ``name`` unless its nonce is ``bad``."""
    found = read(connection, name, now)
    return None if found is None or (bad is not None and found[_NONCE] == bad) else found


def is_leased(connection: sqlite3.Connection, name: str, now: int) -> bool:
    """Tell whether somebody loads ``name``."""
    row = connection.execute(_LEASED, (name,)).fetchone()
    return row is not None and row[0] > now


def take_lease(connection: sqlite3.Connection, name: str, token: bytes, until: int) -> None:
    """Give the lease to ``token``."""
    connection.execute(_TAKE, (name, token, until))


def release_lease(connection: sqlite3.Connection, name: str, token: bytes) -> None:
    """End the lease if it is still ``token``'s."""
    connection.execute(_RELEASE, (name, token))


def list_names(connection: sqlite3.Connection, prefix: str, after: str, limit: int, now: int) -> list[str]:
    """List living names with this prefix, sorted by code points, after ``after``."""
    below = _successor(prefix)
    if below is None:
        rows = connection.execute(_NAMES, (after, prefix, now, limit))
    else:
        rows = connection.execute(_NAMES_BELOW, (after, prefix, now, limit, below))
    return [name for (name,) in rows]


def _successor(prefix: str) -> str | None:
    """Return the least text above everything that begins with ``prefix``; None if there is no end."""
    while prefix and ord(prefix[-1]) == _LAST_SIGN:
        prefix = prefix[:-1]
    if not prefix:
        return None
    above = ord(prefix[-1]) + 1
    return prefix[:-1] + chr(_SURROGATES.stop if above in _SURROGATES else above)


def sizes(changes: Sequence[EntryChange]) -> int:
    """Return the bytes that these changes bring."""
    return sum(len(change.frame) for change in changes if type(change) is Put)
