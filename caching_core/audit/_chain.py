"""The chain of one host: each record names the hash of the one before, every commit leaves a signed head."""

import logging
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from caching_core.audit._head_file import advance_head, read_head
from caching_core.audit._log_file import LOG_FILE, RESET, connect, hash_of, is_damage, make_log, move_aside
from caching_core.audit._privacy import Privacy
from caching_core.audit._record import AuditClass, Body, Detail, Outcome, body_of, canonical
from caching_core.audit._signature import Signer, Statement
from caching_core.errors import AuditUnavailable
from caching_core.keystore import ProcessDatabase
from caching_core.runtime import identity, own_directory

CHECKPOINT_RECORDS: Final = 1000
CHECKPOINT_SECONDS: Final = 60.0
CLOCK_BACK: Final = "clock_back"
_TOLERATED_MS: Final = 1000

_log = logging.getLogger(__name__)


class _Broken(Exception):
    """What stands in the file is not what was signed; appending to it would cover that up."""


class Chain:
    """Appends to the log of ``directory``, which all processes of the host share. Thread-safe, safe to fork.

    Every failure is AuditUnavailable (ConfigInvalid where the directory is not this user's alone). A log that
    is damaged, or no longer fits what was signed, is moved aside, and a new one begins that says so.
    """

    __slots__ = ("_clock", "_database", "_directory", "_privacy", "_signer", "_timeout")

    def __init__(self, directory: Path, *, privacy: Privacy, clock: Callable[[], float], busy_timeout: float = 5.0) -> None:
        """Open nothing yet."""
        self._directory = directory
        self._privacy = privacy
        self._clock = clock
        self._timeout = busy_timeout
        self._signer: Signer | None = None
        path = directory / LOG_FILE
        self._database = ProcessDatabase(self._open, lambda: identity(path))

    def append(self, bodies: Sequence[Body], *, replayed: Sequence[str] = ()) -> int:
        """Add records in one durable transaction and return the last sequence number.

        ``replayed`` are ids beside ``bodies``; those that have been added before are left out. Without
        bodies, only a checkpoint is added if one is due.
        """
        with self._mapped():
            for _ in range(3):
                seen = identity(self._directory / LOG_FILE)
                try:
                    return self._append(bodies, replayed)
                except _Broken as error:
                    self._start_over(seen, f"tampered: {error}")
                except sqlite3.DatabaseError as error:
                    if not is_damage(error):
                        raise
                    self._start_over(seen, f"damaged: {error}")
        raise AuditUnavailable(f"the audit log in {self._directory} cannot be begun anew; look at the files .corrupt-* there")

    def close(self) -> None:
        """Close this process's connection; a later call opens it again."""
        with self._mapped():
            self._database.close()

    def public_key(self) -> str:
        """Return the key that verifies this host's checkpoints, in hexadecimal."""
        with self._mapped():
            return self._signing().public.hex()

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def _signing(self) -> Signer:
        if self._signer is None:
            own_directory(self._directory)
            self._signer = Signer.of(self._directory)
        return self._signer

    def _open(self) -> sqlite3.Connection:
        own_directory(self._directory)
        if not (self._directory / LOG_FILE).exists():
            make_log(self._directory, self._signing(), reset=self._note(RESET, Outcome.ERROR), now_ms=self._now_ms())
        return connect(self._directory / LOG_FILE, busy_timeout=self._timeout)

    def _append(self, bodies: Sequence[Body], replayed: Sequence[str]) -> int:
        signer = self._signing()
        with self._database.lent() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                tail = self._tail(connection, signer)
                if replayed:
                    bodies = _not_yet(connection, bodies, replayed)
                marks = self._link(connection, tail, bodies)
                if not bodies and not marks:
                    return tail.head.seq
                signature = self._sign(connection, tail, marks)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        advance_head(self._directory, tail.head, signature, signer.public)
        return tail.head.seq

    def _tail(self, connection: sqlite3.Connection, signer: Signer) -> "_Tail":
        """Return the end of the log, after checking that it is the one that was signed."""
        head = _signed(connection.execute("SELECT body, signature FROM head").fetchone(), signer, "head")
        mark_row = connection.execute("SELECT body, signature FROM checkpoints ORDER BY number DESC LIMIT 1").fetchone()
        mark = _signed(mark_row, signer, "checkpoint")
        if (mark.number, hash_of(mark_row[0])) != (head.number, head.prev):
            raise _Broken("the last checkpoint is not the one that was signed")
        last = connection.execute("SELECT seq, body FROM records ORDER BY seq DESC LIMIT 1").fetchone()
        if last is not None and (last[0], hash_of(last[1])) != (head.seq, head.head):
            raise _Broken("the last record is not the one that was signed")
        if last is None and head.seq:
            raise _Broken("the records are gone")
        saved = read_head(self._directory, signer.public)
        if not isinstance(saved, Statement):
            raise _Broken(f"the head file is {saved.value}")
        if saved.log == head.log and saved.seq > head.seq:
            raise _Broken("the log is older than its head file")
        return _Tail(head, mark)

    def _link(self, connection: sqlite3.Connection, tail: "_Tail", bodies: Sequence[Body]) -> list[Statement]:
        """Insert ``bodies`` and return the checkpoints that became due."""
        now_ms = self._now_ms()
        rows: list[tuple[int, bytes]] = []
        marks: list[Statement] = []
        if bodies and tail.head.at_ms - now_ms > _TOLERATED_MS:
            back = self._note(CLOCK_BACK, Outcome.OK, {"from": tail.head.at_ms, "to": now_ms})
            tail.turn_back(now_ms)
            rows.append(tail.add(back))
        for body in bodies:
            rows.append(tail.add(body))
            if tail.head.seq - tail.mark.seq >= CHECKPOINT_RECORDS:
                marks.append(tail.checkpoint(now_ms))
        if not 0 <= now_ms - tail.mark.at_ms < CHECKPOINT_SECONDS * 1000:
            marks.append(tail.checkpoint(now_ms))
        connection.executemany("INSERT INTO records VALUES (?, ?)", rows)
        return marks

    def _sign(self, connection: sqlite3.Connection, tail: "_Tail", marks: Sequence[Statement]) -> bytes:
        signer = self._signing()
        for mark in marks:
            text = mark.text()
            connection.execute("INSERT INTO checkpoints VALUES (?, ?, ?)", (mark.number, text, signer.sign(text)))
        text = tail.head.text()
        signature = signer.sign(text)
        connection.execute("UPDATE head SET body = ?, signature = ?", (text, signature))
        return signature

    def _start_over(self, seen: tuple[int, int] | None, reason: str) -> None:
        self._database.close()
        reset = self._note(RESET, Outcome.ERROR)
        aside = move_aside(self._directory, self._signing(), seen, reset=reset, reason=reason, now_ms=self._now_ms())
        if aside is not None:
            _log.error("the audit log was %s; it has been kept as %s and a new one begun: run `caching audit verify`", reason, aside)

    def _note(self, action: str, outcome: Outcome, detail: Detail | None = None) -> Body:
        entry = (AuditClass.SYSTEM, action, outcome, "", "system", "", "", "", "", "", 1, detail, None, self._clock())
        return body_of(entry, self._privacy)

    @contextmanager
    def _mapped(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", type(error).__name__)
            raise AuditUnavailable(
                f"the audit log in {self._directory} cannot be written ({name}: {error}); check disk, mode and mount"
            ) from error
        except OSError as error:
            raise AuditUnavailable(
                f"the audit log in {self._directory} cannot be written ({error.strerror or error}); check disk, mode and mount"
            ) from error


class _Tail:
    """Where the next record goes, as a transaction moves it on."""

    __slots__ = ("head", "mark")

    def __init__(self, head: Statement, mark: Statement) -> None:
        """Begin at what stands in the file."""
        self.head = head
        self.mark = mark

    def add(self, body: Body) -> tuple[int, bytes]:
        """Give ``body`` its place, and a time that is not before its predecessor's: ``detail.at`` keeps the real one."""
        head = self.head
        if body["ts"] < head.at_ms:
            if head.at_ms - body["ts"] > _TOLERATED_MS:
                body["detail"] = {**body["detail"], "at": body["ts"]}
            body["ts"] = head.at_ms
        seq = head.seq + 1
        body["log"], body["seq"], body["prev"] = head.log, seq, head.head
        text = canonical(body)
        self.head = Statement("head", head.log, seq, head.count + 1, hash_of(text), body["ts"], head.number, head.prev)
        return seq, text

    def turn_back(self, now_ms: int) -> None:
        """Let the next record be earlier than its predecessor; it must be the one that says so."""
        self.head = replace(self.head, at_ms=now_ms)

    def checkpoint(self, now_ms: int) -> Statement:
        """Make the checkpoint that stands after the last record."""
        head = self.head
        self.mark = Statement("checkpoint", head.log, head.seq, head.count, head.head, now_ms, head.number + 1, head.prev)
        self.head = replace(head, number=self.mark.number, prev=hash_of(self.mark.text()))
        return self.mark


def _signed(row: tuple[bytes, bytes] | None, signer: Signer, kind: str) -> Statement:
    if row is None:
        raise _Broken(f"the {kind} is gone")
    text, signature = row
    if not signer.public.accepts(text, signature):
        raise _Broken(f"the {kind} is not signed by this host's key")
    statement = Statement.parse(text)
    if statement.kind != kind:
        raise _Broken(f"another statement stands in place of the {kind}")
    return statement


def _not_yet(connection: sqlite3.Connection, bodies: Sequence[Body], ids: Sequence[str]) -> list[Body]:
    """Leave out what an earlier replay has added before it could empty the spill file."""
    fresh: list[Body] = []
    for body, entry_id in zip(bodies, ids, strict=True):
        if connection.execute("INSERT OR IGNORE INTO replayed VALUES (?)", (entry_id,)).rowcount:
            fresh.append(body)
    return fresh
