"""The SQLite file that holds a host's log: made whole, opened, and moved aside when it is not to be trusted."""

import hashlib
import secrets
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from caching_core.audit._head_file import HeadProblem, make_head, read_head
from caching_core.audit._record import Body, canonical
from caching_core.audit._signature import Signer, Statement
from caching_core.runtime import directory_locked, identity, own_file, put_in_place

LOG_FILE: Final = "audit.db"
RESET: Final = "log_reset"
APPLICATION_ID: Final = 0x43434144  # "CCAD"
VERSION: Final = 1
_LOCK_SECONDS: Final = 5.0

_SCHEMA: Final = """
CREATE TABLE records(seq INTEGER PRIMARY KEY CHECK (seq > 0), body BLOB NOT NULL) STRICT;
CREATE TABLE checkpoints(number INTEGER PRIMARY KEY CHECK (number > 0), body BLOB NOT NULL, signature BLOB NOT NULL) STRICT;
CREATE TABLE head(id INTEGER PRIMARY KEY CHECK (id = 1), body BLOB NOT NULL, signature BLOB NOT NULL) STRICT;
CREATE TABLE replayed(id TEXT PRIMARY KEY) STRICT;
"""


def hash_of(text: bytes) -> str:
    """Return the SHA-256 by which the next record or checkpoint names this one."""
    return hashlib.sha256(text).hexdigest()


def genesis(log: str) -> str:
    """Return what stands as the previous hash in the first record of ``log``."""
    return hash_of(b"caching-core/audit/log/v1|" + log.encode())


def is_damage(error: sqlite3.Error) -> bool:
    """Tell a file that is not what it should be from a disk, a lock or a mode that stands in the way."""
    if type(error) is sqlite3.DatabaseError:  # its subclasses are about everything else, but for a table that is gone
        return True
    return isinstance(error, sqlite3.OperationalError) and getattr(error, "sqlite_errorname", "") == "SQLITE_ERROR"


def connect(path: Path, *, busy_timeout: float) -> sqlite3.Connection:
    """Open the file for appending; sqlite3.DatabaseError where it is no audit log."""
    own_file(path)
    connection = _connect(path, busy_timeout=busy_timeout)
    try:
        if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise sqlite3.DatabaseError("the file is not an audit log")
        if connection.execute("PRAGMA user_version").fetchone()[0] > VERSION:
            raise sqlite3.NotSupportedError("it was written by a newer release; upgrade this process")
    except BaseException:
        connection.close()
        raise
    return connection


def make_log(directory: Path, signer: Signer, *, reset: Body, now_ms: int) -> None:
    """Make the log if there is none.

    If a head file tells that one stood here, the new log begins with ``reset``, which says so.
    """
    path = directory / LOG_FILE
    with directory_locked(directory, timeout=_LOCK_SECONDS):
        if path.exists():
            return
        before = read_head(directory, signer.public)
        if before is HeadProblem.MISSING or (isinstance(before, Statement) and before.seq == 0):
            _build(directory, signer, first=None, now_ms=now_ms)
        else:
            _build(directory, signer, first=_with_detail(reset, {"reason": "missing"}, before), now_ms=now_ms)


def move_aside(directory: Path, signer: Signer, seen: tuple[int, int] | None, *, reset: Body, reason: str, now_ms: int) -> Path | None:
    """Move a log that cannot be trusted aside and begin a new one; None where another process has done so already."""
    path = directory / LOG_FILE
    with directory_locked(directory, timeout=_LOCK_SECONDS):
        if identity(path) != seen or seen is None:
            return None
        before = read_head(directory, signer.public)
        aside = path.with_name(f"{path.name}.corrupt-{now_ms}-{secrets.token_hex(3)}")
        for suffix in ("", "-wal", "-shm"):
            companion = path.with_name(path.name + suffix)
            if companion.exists():
                companion.rename(aside.with_name(aside.name + suffix))
        detail = {"reason": reason, "aside": aside.name}
        _build(directory, signer, first=_with_detail(reset, detail, before), now_ms=now_ms)
        return aside


def _with_detail(reset: Body, detail: Mapping[str, object], before: Statement | HeadProblem) -> Body:
    told: dict[str, object] = dict(detail)
    if isinstance(before, Statement):
        told |= {"log": before.log, "seq": before.seq, "head": before.head}
    else:
        told["head_file"] = before.value
    return {**reset, "detail": told}


def _connect(path: Path, *, busy_timeout: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=busy_timeout, isolation_level=None, check_same_thread=False
    )
    try:
        for setting in ("synchronous=FULL", "trusted_schema=OFF", "cell_size_check=ON"):
            connection.execute(f"PRAGMA {setting}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _build(directory: Path, signer: Signer, *, first: Body | None, now_ms: int) -> None:
    """Make the file beside its place, then the head file, then move it: none of the three states in between looks tampered with."""
    path = directory / LOG_FILE
    for left in directory.glob(f".{LOG_FILE}.new-*"):
        left.unlink()
    with put_in_place(path) as (draft, _descriptor):
        make_head(directory, _fill(draft, signer, first=first, now_ms=now_ms), signer)


def _fill(draft: Path, signer: Signer, *, first: Body | None, now_ms: int) -> Statement:
    log = secrets.token_hex(16)
    seq, last = 0, genesis(log)
    connection = _connect(draft, busy_timeout=0)
    try:
        connection.execute("PRAGMA journal_mode=WAL").fetchall()  # stays with the file
        connection.executescript(f"BEGIN;{_SCHEMA}PRAGMA application_id={APPLICATION_ID};PRAGMA user_version={VERSION};COMMIT;")
        connection.execute("BEGIN")
        if first is not None:
            text = canonical({**first, "log": log, "seq": 1, "prev": last})
            connection.execute("INSERT INTO records VALUES (1, ?)", (text,))
            seq, last = 1, hash_of(text)
        mark = Statement("checkpoint", log, seq, seq, last, now_ms, 1, "")
        text = mark.text()
        connection.execute("INSERT INTO checkpoints VALUES (1, ?, ?)", (text, signer.sign(text)))
        head = Statement("head", log, seq, seq, last, now_ms, 1, hash_of(text))
        connection.execute("INSERT INTO head VALUES (1, ?, ?)", (head.text(), signer.sign(head.text())))
        connection.execute("COMMIT")
    finally:
        connection.close()
    return head
