"""The SQLite file that holds wrapped root keys: how it is made, opened and recognised."""

import sqlite3
from pathlib import Path
from typing import Final

from caching_core.errors import KeyUnavailable
from caching_core.runtime import directory_locked, own_directory, own_file, put_in_place

APPLICATION_ID: Final = 0x43434B53  # "CCKS"
VERSION: Final = 1

_SCHEMA: Final = """
CREATE TABLE keys(
    name TEXT NOT NULL,
    generation INTEGER NOT NULL CHECK (generation > 0),
    key_id BLOB NOT NULL UNIQUE CHECK (length(key_id) = 16),
    state TEXT NOT NULL CHECK (state IN ('staged', 'primary', 'enabled', 'disabled')),
    wrapped BLOB NOT NULL CHECK (length(wrapped) > 0),
    kek_id BLOB NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_primary ON keys(name) WHERE state = 'primary';
CREATE INDEX keys_by_name ON keys(name, generation, created_ms);
CREATE TABLE tombstones(
    key_id BLOB PRIMARY KEY CHECK (length(key_id) = 16),
    name TEXT NOT NULL,
    generation INTEGER NOT NULL,
    destroyed_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX tombstones_by_name ON tombstones(name);
"""

_BUILD_SECONDS: Final = 5.0


def open_key_file(path: Path, *, busy_timeout: float) -> sqlite3.Connection:
    """Open the key file, making it if there is none. ConfigInvalid, KeyUnavailable, OSError or sqlite3.Error if it cannot be."""
    own_directory(path.parent)
    if not path.is_symlink() and not path.exists():
        _build(path)
    own_file(path)
    connection = _connect(path, busy_timeout=busy_timeout)
    try:
        _recognise(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _build(path: Path) -> None:
    """Make an empty key file beside ``path`` and move it into place whole.

    So a key file of zero bytes is never a new one: it has been cut, and is refused instead of filled again.
    """
    with directory_locked(path.parent, timeout=_BUILD_SECONDS):
        if path.exists():
            return
        for left in path.parent.glob(f".{path.name}.new-*"):
            left.unlink()  # under the lock nobody else is building: a killed process left it
        with put_in_place(path) as (draft, _descriptor):
            connection = _connect(draft, busy_timeout=0)
            try:
                connection.executescript(f"BEGIN;{_SCHEMA}PRAGMA application_id={APPLICATION_ID};PRAGMA user_version={VERSION};COMMIT;")
            finally:
                connection.close()


def _connect(path: Path, *, busy_timeout: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=busy_timeout, isolation_level=None, check_same_thread=False
    )
    try:
        # A rollback journal, not a WAL: its old pages are gone with the commit, so a destroyed key leaves no copy.
        for setting in ("journal_mode=DELETE", "synchronous=FULL", "secure_delete=ON", "trusted_schema=OFF", "cell_size_check=ON"):
            connection.execute(f"PRAGMA {setting}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _recognise(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        raise sqlite3.DatabaseError("it is not a keystore")
    if version > VERSION:
        raise KeyUnavailable(f"the keystore {path} was written by a newer release (format {version}); upgrade this process")
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError("its pages do not fit together")
