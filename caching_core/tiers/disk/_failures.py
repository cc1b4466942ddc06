"""What an error of SQLite means for a caller: come back, do without, or set the file aside."""

import enum
import sqlite3
from typing import Final


class Failure(enum.Enum):
    """``BUSY`` passes by itself, ``DAMAGED`` condemns the file, ``AWAY`` is everything a caller must do without."""

    BUSY = "busy"
    DAMAGED = "damaged"
    AWAY = "away"


_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
# SQLITE_ERROR: our statements are fixed, so "no such table" and the like tell of a file that is not ours.
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR})
_PRIMARY: Final = 0xFF


class StoreBusy(Exception):
    """Something of ours, not SQLite's, is in use: all connections of this process, its right to write, the making of a file."""


class FileDamaged(Exception):
    """The file is not one of ours, or of another format."""


def failure_of(error: Exception) -> Failure:
    """Tell what ``error`` means."""
    if isinstance(error, StoreBusy):
        return Failure.BUSY
    if isinstance(error, FileDamaged):
        return Failure.DAMAGED
    if not isinstance(error, sqlite3.Error):
        return Failure.AWAY
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # raised by the sqlite3 module itself: a closed connection, a value it cannot bind
        return Failure.AWAY
    if code == sqlite3.SQLITE_IOERR_SHORT_READ:  # a page or a frame that must be there is missing
        return Failure.DAMAGED
    primary = code & _PRIMARY
    if primary in _BUSY:
        return Failure.BUSY
    return Failure.DAMAGED if primary in _DAMAGED else Failure.AWAY


def reason_of(error: Exception) -> str:
    """Say in a few words what happened: SQLite's or the system's own, which name no keys and no values."""
    name = getattr(error, "sqlite_errorname", None)
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{text} ({name})" if name else text or type(error).__name__
