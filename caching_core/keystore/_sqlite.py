"""Tenant root keys in a SQLite file, for hosts whose authoritative tier is their own disk."""

import errno
import sqlite3
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from caching_core.crypto import KeyRow, KeyState
from caching_core.errors import KeyUnavailable
from caching_core.keystore._key_file import open_key_file
from caching_core.keystore._process_database import ProcessDatabase
from caching_core.keystore._tombstone_list import TombstoneList
from caching_core.runtime import identity

_SELECT: Final = "SELECT key_id, state, wrapped, kek_id, created_ms FROM keys WHERE name = ? ORDER BY generation, rowid"
_STANDING: Final = (KeyState.PRIMARY, KeyState.ENABLED, KeyState.STAGED, KeyState.DISABLED)
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_READ_ONLY: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


class SqliteKeyStore:
    """Wrapped root keys of this host's tenants, in one file that every process of this user shares.

    The coroutines never suspend: they block, briefly, and are meant for ``run_sync``. Thread-safe; safe to
    fork. Every failure is KeyUnavailable (ConfigInvalid where the place is not this user's alone). A
    damaged file is reported and left as it is: keys, unlike entries, cannot be made again.
    """

    __slots__ = ("_clock", "_database", "_path", "_tombstones")

    def __init__(self, path: str | Path, *, clock: Callable[[], float] = time.time, busy_timeout: float = 5.0) -> None:
        """Open nothing yet. ``path`` is the file; its directory is made with mode 0700. ``clock`` dates tombstones."""
        self._path = Path(path)
        self._clock = clock
        self._tombstones = TombstoneList(self._path.with_name(self._path.name + ".destroyed"))
        self._database = ProcessDatabase(lambda: open_key_file(self._path, busy_timeout=busy_timeout), lambda: identity(self._path))

    def __repr__(self) -> str:
        """Name the file."""
        return f"SqliteKeyStore({str(self._path)!r})"

    @property
    def path(self) -> Path:
        """Return the file."""
        return self._path

    async def has_rows(self) -> bool:
        """Tell whether any key stands in the file; does not make it where it is not there."""
        if identity(self._path) is None:
            return False
        with self._lent("read") as connection:
            rows = connection.execute("SELECT key_id FROM keys").fetchall()
            return bool({key_id for (key_id,) in rows} - self._destroyed(connection))

    async def load(self, name: str) -> Sequence[KeyRow]:
        """Return the rows that stand under ``name``, oldest first; destroyed ones are not among them."""
        with self._lent("read") as connection:
            return self._standing(connection, name)

    async def create(self, name: str, row: KeyRow) -> KeyRow:
        """Add ``row`` unless another stands in its place, and return the one that stands: the first writer wins.

        A staged row gives way to a staged one only; a row of any other state to every row of ``name``,
        the primary first. KeyUnavailable where the key id has been destroyed before.
        """
        if row.state is KeyState.DESTROYED:
            raise ValueError("a destroyed key cannot be created; use destroy(name)")
        with self._writing("write") as connection:
            found = _in_place_of(row, self._standing(connection, name))
            if found is not None:
                return found
            self._refuse_destroyed(connection, row.key_id)
            stored = (
                name,
                _generation(connection, name, is_new=True),
                row.key_id,
                row.state.value,
                row.wrapped,
                row.kek_id,
                row.created_ms,
            )
            try:
                connection.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)", stored)
            except sqlite3.IntegrityError:
                raise KeyUnavailable(f"the keystore {self._path} refused a row: key ids are 16 bytes, unique, and never empty") from None
            return row

    async def set_state(self, name: str, key_id: bytes, state: KeyState) -> None:
        """Move a key to ``state``; the primary before it becomes enabled. Destroyed keys stay destroyed."""
        if state is KeyState.DESTROYED:
            with self._writing("write") as connection:
                rows = [row.key_id for row in self._standing(connection, name) if row.key_id == key_id]
                self._bury(connection, rows)
            return
        with self._writing("write") as connection:
            if all(row.key_id != key_id for row in self._standing(connection, name)):
                raise KeyUnavailable(f"no key {key_id.hex()} stands in the keystore {self._path} under that name; look with names()")
            if state is KeyState.PRIMARY:
                connection.execute("UPDATE keys SET state = 'enabled' WHERE name = ? AND state = 'primary'", (name,))
            connection.execute("UPDATE keys SET state = ? WHERE name = ? AND key_id = ?", (state.value, name, key_id))

    async def destroy(self, name: str) -> Sequence[bytes]:
        """Erase every key of ``name`` for good and return the ids; what they sealed can never be opened again."""
        with self._writing("write") as connection:
            rows = connection.execute("SELECT key_id FROM keys WHERE name = ?", (name,)).fetchall()
            key_ids = [bytes(key_id) for (key_id,) in rows]
            self._bury(connection, key_ids)
            return key_ids

    async def bury(self, key_ids: Iterable[bytes]) -> None:
        """Take ids from elsewhere (the audit log, another copy) as destroyed, whether or not they stand here."""
        with self._writing("write") as connection:
            self._bury(connection, list(key_ids))

    async def names(self) -> Sequence[str]:
        """Return the names under which a key stands, sorted."""
        with self._lent("read") as connection:
            rows = connection.execute("SELECT name, key_id FROM keys ORDER BY name").fetchall()
            destroyed = self._destroyed(connection)
            return sorted({name for name, key_id in rows if key_id not in destroyed})

    async def tombstones(self) -> frozenset[bytes]:
        """Return the id of every key that has been destroyed."""
        with self._lent("read") as connection:
            return self._destroyed(connection)

    async def generation(self, name: str) -> int:
        """Return how many times keys of ``name`` were made from nothing: 1 at first, one more after each destruction, 0 if never."""
        with self._lent("read") as connection:
            return _generation(connection, name, is_new=False)

    def close(self) -> None:
        """Close this process's connection; a later call opens it again."""
        with self._mapped("close"):
            self._database.close()

    def _standing(self, connection: sqlite3.Connection, name: str) -> list[KeyRow]:
        rows = connection.execute(_SELECT, (name,)).fetchall()
        if not rows:
            return []
        destroyed = self._destroyed(connection)
        return [
            KeyRow(key_id=key_id, state=_state(state), wrapped=wrapped, kek_id=kek_id, created_ms=created_ms)
            for key_id, state, wrapped, kek_id, created_ms in rows
            if key_id not in destroyed
        ]

    def _destroyed(self, connection: sqlite3.Connection) -> frozenset[bytes]:
        rows = connection.execute("SELECT key_id FROM tombstones").fetchall()
        return self._tombstones.ids().union(key_id for (key_id,) in rows)

    def _refuse_destroyed(self, connection: sqlite3.Connection, key_id: bytes) -> None:
        if key_id in self._destroyed(connection):
            raise KeyUnavailable(f"the key {key_id.hex()} has been destroyed and cannot come back to {self._path}; make a new one")
        self._entomb(connection, self._tombstones.ids())  # rows that an older copy of the file brought back make room

    def _bury(self, connection: sqlite3.Connection, key_ids: Sequence[bytes]) -> None:
        if not key_ids:
            return
        self._tombstones.add(sorted(set(key_ids) - self._tombstones.ids()))
        self._entomb(connection, key_ids)

    def _entomb(self, connection: sqlite3.Connection, key_ids: Iterable[bytes]) -> None:
        moment = int(self._clock() * 1000)
        for key_id in key_ids:
            row = connection.execute("SELECT name, generation FROM keys WHERE key_id = ?", (key_id,)).fetchone()
            name, generation = row or ("", 0)
            connection.execute("INSERT OR IGNORE INTO tombstones VALUES (?, ?, ?, ?)", (key_id, name, generation, moment))
            connection.execute("DELETE FROM keys WHERE key_id = ?", (key_id,))

    @contextmanager
    def _lent(self, action: str) -> Generator[sqlite3.Connection]:
        with self._mapped(action), self._database.lent() as connection:
            yield connection

    @contextmanager
    def _writing(self, action: str) -> Generator[sqlite3.Connection]:
        with self._lent(action) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def _mapped(self, action: str) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise KeyUnavailable(self._explain(error, action)) from error
        except OSError as error:
            raise KeyUnavailable(self._explain_os(error, action)) from error

    def _explain(self, error: sqlite3.Error, action: str) -> str:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return f"the keystore {self._path} is busy: another process holds its lock; try again, or look for one that hangs"
        if name.startswith("SQLITE_FULL"):
            return f"cannot {action} the keystore {self._path}: the disk is full; free space, nothing has been changed"
        if name.startswith(("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_CANTOPEN")):
            return f"cannot {action} the keystore {self._path}: file or directory is not writable or not there; check owner, mode and mount"
        if name.startswith("SQLITE_IOERR"):
            return (
                f"cannot {action} the keystore {self._path}: the disk fails or is full ({name}); check the volume, nothing has been changed"
            )
        return (
            f"the keystore {self._path} is damaged ({error}). It has been left as it is: stop the processes and restore it from a backup. "
            "Without one, move it away; new keys are made, and what the old ones sealed is lost"
        )

    def _explain_os(self, error: OSError, action: str) -> str:
        if error.errno in _FULL:
            return f"cannot {action} the keystore {self._path}: the disk is full; free space, nothing has been changed"
        if error.errno in _READ_ONLY:
            return f"cannot {action} the keystore {self._path}: file or directory is not writable; check owner, mode and mount"
        return f"cannot {action} the keystore {self._path}: {error.strerror or error}; check the directory {self._path.parent}"


def _in_place_of(row: KeyRow, standing: Sequence[KeyRow]) -> KeyRow | None:
    wanted = (KeyState.STAGED,) if row.state is KeyState.STAGED else _STANDING
    for state in wanted:
        for other in reversed(standing):
            if other.state is state:
                return other
    return None


def _state(text: str) -> KeyState:
    try:
        return KeyState(text)
    except ValueError:
        raise sqlite3.DatabaseError("a row has a state that does not exist") from None


def _generation(connection: sqlite3.Connection, name: str, *, is_new: bool) -> int:
    """Return the generation that stands, or that a new row of ``name`` belongs to."""
    standing = connection.execute("SELECT max(generation) FROM keys WHERE name = ?", (name,)).fetchone()[0]
    if standing is not None:
        return int(standing)
    buried = connection.execute("SELECT max(generation) FROM tombstones WHERE name = ?", (name,)).fetchone()[0] or 0
    return int(buried) + 1 if is_new else int(buried)
