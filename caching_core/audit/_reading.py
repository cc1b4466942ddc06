"""Reads a log without changing a byte of it."""

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from caching_core.audit._log_file import LOG_FILE
from caching_core.audit._record import AuditRecord, parse_record
from caching_core.errors import AuditUnavailable

_DESTROYED: Final = '"action":"keys_destroyed"'
_BUSY_SECONDS: Final = 5.0


@contextmanager
def reading(directory: Path) -> Generator[sqlite3.Connection]:
    """Lend a snapshot of the log as of now; sqlite3.Error where there is none to be had."""
    path = directory / LOG_FILE
    connection = _open(path)
    try:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM head").fetchone()
        yield connection
    finally:
        connection.close()


def tail(directory: str | Path, count: int = 20) -> list[AuditRecord]:
    """Return the last ``count`` records, oldest first; AuditUnavailable where they cannot be read."""
    with _reported(Path(directory)) as connection:
        rows = connection.execute("SELECT seq, body FROM records ORDER BY seq DESC LIMIT ?", (max(count, 0),)).fetchall()
    return [_parsed(seq, text) for seq, text in reversed(rows)]


def each_record(directory: str | Path) -> Iterator[AuditRecord]:
    """Yield every record of a snapshot of the log, oldest first; AuditUnavailable where they cannot be read."""
    with _reported(Path(directory)) as connection:
        for seq, text in connection.execute("SELECT seq, body FROM records ORDER BY seq"):
            yield _parsed(seq, text)


def destroyed_keys(directory: str | Path) -> frozenset[bytes]:
    """Return the ids of all keys whose destruction the log records, for a keystore that came back from a backup."""
    with _reported(Path(directory)) as connection:
        rows = connection.execute("SELECT seq, body FROM records WHERE instr(CAST(body AS TEXT), ?)", (_DESTROYED,)).fetchall()
    ids: set[bytes] = set()
    for seq, text in rows:
        named: Any = _parsed(seq, text).detail.get("key_ids")  # JSON; what is no list of hexadecimal texts is no such record
        try:
            ids.update(bytes.fromhex(one) for one in named)
        except (TypeError, ValueError):
            raise AuditUnavailable(f"record {seq} does not name destroyed keys; run `caching audit verify`") from None
    return frozenset(ids)


@contextmanager
def _reported(directory: Path) -> Generator[sqlite3.Connection]:
    if not (directory / LOG_FILE).exists():
        raise AuditUnavailable(f"there is no audit log in {directory}; name the directory of the cache")
    try:
        with reading(directory) as connection:
            yield connection
    except sqlite3.Error as error:
        raise AuditUnavailable(f"the audit log in {directory} cannot be read ({error}); run `caching audit verify`") from error


def _open(path: Path) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM head").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        wal = path.with_name(path.name + "-wal")
        if wal.exists() and wal.stat().st_size:
            raise
        # On a read-only volume a log in WAL mode opens only as one that nobody writes, which there is the truth.
        return sqlite3.connect(f"{address}&immutable=1", uri=True, isolation_level=None)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _parsed(seq: int, text: bytes) -> AuditRecord:
    try:
        return parse_record(text)
    except (ValueError, KeyError, TypeError):
        raise AuditUnavailable(f"record {seq} cannot be read; run `caching audit verify`") from None
