"""Checks a log against everything that was signed, and says where it first fails."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from caching_core.audit._finding import Fault, Finding, Status, Verification
from caching_core.audit._head_file import HEAD_FILE, HeadProblem, read_head
from caching_core.audit._log_file import LOG_FILE, hash_of, is_damage
from caching_core.audit._reading import reading
from caching_core.audit._signature import KEY_FILE, Statement, Verifier
from caching_core.audit._spill import SPILL_FILE
from caching_core.audit._walk import Walk
from caching_core.errors import ConfigInvalid


def verify(directory: str | Path, *, public_key: str | None = None) -> Verification:
    """Check the whole log of ``directory``; never raises because of what it finds there.

    ``public_key`` is the hexadecimal key that was kept elsewhere. Without it the key comes from the directory itself,
    which proves nothing against somebody who could replace all files at once: who may write here as the owner can roll
    back log, head file and key together. Only heads kept off this host tell then.
    """
    place = Path(directory)
    if not (place / LOG_FILE).exists() and not (place / HEAD_FILE).exists():
        return Verification(Status.INCOMPLETE, notes=(f"there is no audit log in {place}",))
    verifier = _verifier(place, public_key)
    if verifier is None:
        return Verification(Status.INCOMPLETE, notes=(f"the signing key {place / KEY_FILE} cannot be read; pass the public key",))
    # Before the snapshot: the file is never ahead of the log, so it can only be behind what the snapshot shows.
    try:
        saved = read_head(place, verifier)
    except OSError as error:
        return Verification(Status.INCOMPLETE, notes=(f"the head file cannot be read: {error.strerror}",))
    if not (place / LOG_FILE).exists():
        return _gone(saved, verifier)
    try:
        with reading(place) as connection:
            return _judge(place, connection, verifier, saved)
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return _tampered(Finding(0, Fault.EDITED, f"the file of the log is damaged: {error}"), verifier)
        return Verification(Status.INCOMPLETE, public_key=verifier.hex(), notes=(f"the log cannot be read: {error}",))


def _verifier(place: Path, public_key: str | None) -> Verifier | None:
    if public_key is None:
        return Verifier.of(place)
    try:
        return Verifier.from_hex(public_key)
    except ValueError:
        raise ConfigInvalid("the public key of an audit log is 64 hexadecimal digits") from None


def _gone(saved: Statement | HeadProblem, verifier: Verifier) -> Verification:
    if isinstance(saved, Statement) and saved.seq == 0:
        return Verification(Status.INCOMPLETE, public_key=verifier.hex(), notes=("the log has not been begun",))
    count = saved.seq if isinstance(saved, Statement) else 0
    return _tampered(Finding(1, Fault.TRUNCATED, f"the log is gone; its head file tells of {count} records"), verifier)


def _tampered(finding: Finding, verifier: Verifier) -> Verification:
    return Verification(Status.TAMPERED, finding=finding, public_key=verifier.hex())


@dataclass(slots=True)
class _Signed:
    """What a snapshot holds that is signed, and the first thing that is wrong with it."""

    head: Statement | None
    checkpoints: Sequence[Statement]
    finding: Finding | None


def _judge(place: Path, connection: sqlite3.Connection, verifier: Verifier, saved: Statement | HeadProblem) -> Verification:
    signed = _signed(connection, verifier)
    log = signed.head.log if signed.head else _log_of(connection)
    marks = {mark.seq: mark.head for mark in signed.checkpoints if mark.seq}
    if isinstance(saved, Statement) and saved.log == log and saved.seq:
        marks[saved.seq] = saved.head
    if signed.head is not None and signed.head.seq:
        marks[signed.head.seq] = signed.head.head
    walk = Walk(connection, log=log, marks=marks, end=signed.head.head if signed.head else "")
    finding = walk.run() or signed.finding or _ends(walk, signed, saved, log) or _begun_anew(walk)
    notes: list[str] = []
    if walk.clock_backs:
        notes.append(f"the clock was set back {walk.clock_backs} times, as the log says itself")
    status = Status.GOOD
    if finding is not None:
        status = Status.TAMPERED
    elif walk.reset is not None:
        status = Status.INCOMPLETE
        notes.append(f"an earlier log was damaged at about record {walk.reset.get('seq', 0)} and kept as {walk.reset.get('aside')}")
    elif _waits(place):
        status = Status.INCOMPLETE
        notes.append("records wait in the spill file; they join the chain when the cache is started again")
    return Verification(
        status,
        log=log,
        records=walk.count,
        checkpoints=len(signed.checkpoints),
        finding=finding,
        public_key=verifier.hex(),
        notes=tuple(notes),
    )


def _signed(connection: sqlite3.Connection, verifier: Verifier) -> _Signed:
    """Read head and checkpoints; each checkpoint names the one before, the head the last one."""
    found = _Signed(None, [], None)
    marks: list[Statement] = []
    prev = ""
    for number, text, signature in connection.execute("SELECT number, body, signature FROM checkpoints ORDER BY number"):
        mark = _statement(text, signature, verifier, "checkpoint")
        at = marks[-1].seq if marks else 0
        if mark is None:
            found.finding = Finding(at, Fault.BAD_SIGNATURE, f"checkpoint {number} is not signed by the log's key")
            break
        if (mark.number, mark.prev) != (len(marks) + 1, prev) or number != mark.number:
            found.finding = Finding(at, Fault.MISSING, f"checkpoint {len(marks) + 1} is not there")
            break
        marks.append(mark)
        prev = hash_of(text)
    found.checkpoints = marks
    row = connection.execute("SELECT body, signature FROM head").fetchone()
    found.head = _statement(row[0], row[1], verifier, "head") if row is not None else None
    at = marks[-1].seq if marks else 0
    if found.finding is None and found.head is None:
        found.finding = Finding(at, Fault.BAD_SIGNATURE, "the head of the log is not signed by its key")
    if found.finding is None and found.head is not None and (found.head.number, found.head.prev) != (len(marks), prev):
        found.finding = Finding(at, Fault.MISSING, f"checkpoints after {len(marks)} are not there")
    return found


def _statement(text: object, signature: object, verifier: Verifier, kind: str) -> Statement | None:
    if not isinstance(text, bytes) or not isinstance(signature, bytes) or not verifier.accepts(text, signature):
        return None
    statement = Statement.parse(text)
    return statement if statement.kind == kind else None


def _log_of(connection: sqlite3.Connection) -> str:
    """Return the id that an unsigned head claims, so that the records can at least be compared with each other."""
    row = connection.execute("SELECT body FROM head").fetchone()
    try:
        return Statement.parse(row[0]).log if row else ""
    except ValueError:
        return ""


def _ends(walk: Walk, signed: _Signed, saved: Statement | HeadProblem, log: str) -> Finding | None:
    """Compare where the records end with where they were signed to end."""
    if signed.head is None:
        return None
    last = walk.seq
    if signed.head.seq > last:
        return Finding(last + 1, Fault.TRUNCATED, f"the records after {last} are gone; the signed head is {signed.head.seq}")
    if signed.head.seq < last or signed.head.count != walk.count:
        return Finding(signed.head.seq + 1, Fault.FORKED, f"records after {signed.head.seq} were added without the key")
    if saved is HeadProblem.MISSING:
        return Finding(last, Fault.MISSING, "the head file is gone: whether the log lost its tail cannot be told any more")
    if not isinstance(saved, Statement):
        return Finding(last, Fault.BAD_SIGNATURE, "the head file is not signed by the log's key")
    if saved.log != log:
        return Finding(1, Fault.TRUNCATED, "the head file tells of another log than the one that stands here")
    if saved.seq > last:
        return Finding(last + 1, Fault.TRUNCATED, f"the records after {last} are gone; the head file tells of {saved.seq}")
    return None


def _begun_anew(walk: Walk) -> Finding | None:
    """Treat a log that began because the one before was gone or false as cut; one that a failing disk spoilt is only incomplete."""
    if walk.reset is None or str(walk.reset.get("reason", "")).startswith("damaged"):
        return None
    told = f"an earlier log of {walk.reset.get('seq', '?')} records was {walk.reset.get('reason')}"
    return Finding(1, Fault.TRUNCATED, f"{told}; it is kept as {walk.reset.get('aside', 'nothing')}")


def _waits(place: Path) -> bool:
    try:
        return (place / SPILL_FILE).stat().st_size > 0
    except OSError:
        return False
