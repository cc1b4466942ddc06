"""Whatever is done to a log without the signing key is found, and a log to which nothing was done is good."""

import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from caching_core.audit import AuditClass, AuditLog, Fault, Outcome, Status, verify
from caching_core.audit._head_file import HEAD_FILE
from caching_core.audit._log_file import LOG_FILE, hash_of
from caching_core.audit._record import canonical
from caching_core.audit._signature import KEY_FILE, Signer, Statement

KEY = bytes(32)
RECORDS = 2300


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A closed log of three checkpoints; beside it, as ``older``, what it was before its last batch."""
    place = tmp_path_factory.mktemp("original")
    directory = place / "audit"
    now = [1_700_000_000.0]
    with AuditLog(directory, key=KEY, clock=lambda: now[0]) as log:
        for number in range(RECORDS):
            if number == RECORDS - 300:
                log.close()
                shutil.copytree(directory, place / "older")
            now[0] += 0.01
            log.record(
                AuditClass.ADMIN if number % 3 else AuditClass.AUTH, f"act-{number % 7}", Outcome.OK if number % 2 else Outcome.DENIED,
                tenant=f"t{number % 5}", actor="bob", key=f"k{number}", namespace="default", detail={"n": number},
            )  # fmt: skip
    assert verify(directory).status is Status.GOOD
    return directory


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "audit"))


class Forger:
    """Somebody who may write the files but does not have the signing key."""

    def __init__(self, directory: Path, rng: random.Random) -> None:
        self.directory = directory
        self.rng = rng
        self.db = sqlite3.connect(directory / LOG_FILE, isolation_level=None)
        self.db.execute("PRAGMA synchronous=OFF")
        self.last = self.db.execute("SELECT max(seq) FROM records").fetchone()[0]

    def done(self) -> None:
        self.db.close()

    def body(self, seq: int) -> bytes:
        return self.db.execute("SELECT body FROM records WHERE seq = ?", (seq,)).fetchone()[0]

    def put(self, seq: int, text: bytes) -> None:
        self.db.execute("UPDATE records SET body = ? WHERE seq = ?", (text, seq))

    def any_seq(self) -> int:
        return self.rng.randint(1, self.last)

    def flipped(self, text: bytes) -> bytes:
        at = self.rng.randrange(len(text))
        return text[:at] + bytes([text[at] ^ (1 << self.rng.randrange(8))]) + text[at + 1 :]

    def shift(self, after: int, by: int) -> None:
        rows = self.db.execute("SELECT seq, body FROM records WHERE seq > ? ORDER BY seq", (after,)).fetchall()
        self.db.execute("DELETE FROM records WHERE seq > ?", (after,))
        self.db.executemany("INSERT INTO records VALUES (?, ?)", [(seq + by, text) for seq, text in rows])

    def rechain(self, start: int) -> None:
        """Make the records from ``start`` on a consistent chain again, as far as that goes without the key."""
        prev = hash_of(self.body(start - 1)) if start > 1 else orjson.loads(self.body(1))["prev"]
        rows = self.db.execute("SELECT seq, body FROM records WHERE seq >= ? ORDER BY seq", (start,)).fetchall()
        done = []
        for seq, text in rows:
            new = canonical({**orjson.loads(text), "seq": seq, "prev": prev})
            prev = hash_of(new)
            done.append((new, seq))
        self.db.executemany("UPDATE records SET body = ? WHERE seq = ?", done)

    def flip_byte(self) -> None:
        seq = self.any_seq()
        self.put(seq, self.flipped(self.body(seq)))

    def edit_field(self) -> None:
        seq = self.any_seq()
        body = orjson.loads(self.body(seq))
        name, value = self.rng.choice([("outcome", "error"), ("tenant", "evil"), ("count", 99), ("ts", 1), ("detail", {}), ("action", "x")])
        self.put(seq, canonical({**body, name: value}))

    def swap(self) -> None:
        one, two = self.rng.sample(range(1, self.last + 1), 2)
        first, second = self.body(one), self.body(two)
        self.put(one, second)
        self.put(two, first)

    def insert(self) -> None:
        seq = self.any_seq()
        forged = canonical({**orjson.loads(self.body(seq)), "action": "forged"})
        self.shift(seq, 1)
        self.db.execute("INSERT INTO records VALUES (?, ?)", (seq + 1, forged))

    def duplicate(self) -> None:
        seq = self.any_seq()
        text = self.body(seq)
        self.shift(seq, 1)
        self.db.execute("INSERT INTO records VALUES (?, ?)", (seq + 1, text))

    def append(self) -> None:
        body = orjson.loads(self.body(self.last))
        forged = canonical({**body, "seq": self.last + 1, "prev": hash_of(self.body(self.last)), "action": "forged"})
        self.db.execute("INSERT INTO records VALUES (?, ?)", (self.last + 1, forged))

    def cut(self) -> None:
        self.db.execute("DELETE FROM records WHERE seq > ?", (self.last - self.rng.randint(1, 1500),))

    def remove(self) -> None:
        self.db.execute("DELETE FROM records WHERE seq = ?", (self.any_seq(),))

    def remove_and_close_ranks(self) -> None:
        seq = self.rng.randint(1, self.last - 1)
        self.db.execute("DELETE FROM records WHERE seq = ?", (seq,))
        self.shift(seq, -1)

    def rewrite_suffix(self) -> None:
        seq = self.any_seq()
        self.put(seq, canonical({**orjson.loads(self.body(seq)), "tenant": "evil"}))
        self.rechain(seq)

    def rewrite_suffix_and_sign_with_another_key(self) -> None:
        self.rewrite_suffix()
        signer = Signer(Ed25519PrivateKey.generate())
        self.resign(signer, self.last)

    def cut_and_sign_with_another_key(self) -> None:
        keep = self.last - self.rng.randint(1, 1500)
        self.db.execute("DELETE FROM records WHERE seq > ?", (keep,))
        self.resign(Signer(Ed25519PrivateKey.generate()), keep)

    def resign(self, signer: Signer, last: int) -> None:
        head = Statement.parse(self.db.execute("SELECT body FROM head").fetchone()[0])
        text = Statement("head", head.log, last, last, hash_of(self.body(last)), head.at_ms, head.number, head.prev).text()
        self.db.execute("UPDATE head SET body = ?, signature = ?", (text, signer.sign(text)))

    def head_of_a_checkpoint(self) -> None:
        """Cut back to a checkpoint and pass its signature off as the head's."""
        number, text, signature = self.rng.choice(self.db.execute("SELECT * FROM checkpoints").fetchall())
        self.db.execute("UPDATE head SET body = ?, signature = ?", (text, signature))
        self.db.execute("DELETE FROM records WHERE seq > ?", (Statement.parse(text).seq,))
        self.db.execute("DELETE FROM checkpoints WHERE number > ?", (number,))

    def flip_checkpoint(self) -> None:
        number, text, signature = self.rng.choice(self.db.execute("SELECT * FROM checkpoints").fetchall())
        changed = (self.flipped(text), signature) if self.rng.random() < 0.5 else (text, self.flipped(signature))
        self.db.execute("UPDATE checkpoints SET body = ?, signature = ? WHERE number = ?", (*changed, number))

    def remove_checkpoint(self) -> None:
        self.db.execute("DELETE FROM checkpoints WHERE number = ?", (self.rng.randint(1, 3),))

    def flip_head(self) -> None:
        text, signature = self.db.execute("SELECT body, signature FROM head").fetchone()
        changed = (self.flipped(text), signature) if self.rng.random() < 0.5 else (text, self.flipped(signature))
        self.db.execute("UPDATE head SET body = ?, signature = ?", changed)

    def flip_head_file(self) -> None:
        path = self.directory / HEAD_FILE
        path.write_bytes(self.flipped(path.read_bytes()))

    def remove_a_file(self) -> None:
        self.db.close()
        (self.directory / self.rng.choice([HEAD_FILE, LOG_FILE])).unlink()


TAMPERS = [
    name
    for name in vars(Forger)
    if not name.startswith("_") and name not in {"done", "body", "put", "any_seq", "flipped", "shift", "rechain", "resign"}
]


def _all_found(original: Path, tmp_path: Path, rounds: range) -> None:
    missed = []
    for seed in rounds:
        rng = random.Random(seed)
        directory = Path(shutil.copytree(original, tmp_path / str(seed)))
        forger = Forger(directory, rng)
        name = TAMPERS[seed % len(TAMPERS)]
        getattr(forger, name)()
        forger.done()
        seen = verify(directory)
        if seen.status is not Status.TAMPERED or seen.finding is None or seen.status.exit_code != 2:
            missed.append((seed, name, seen))
        shutil.rmtree(directory)
    assert missed == []


def test_two_hundred_tampers_are_found(original, tmp_path):
    _all_found(original, tmp_path, range(200))


@pytest.mark.slow
def test_a_thousand_tampers_are_found(original, tmp_path):
    _all_found(original, tmp_path, range(200, 1200))


def _edit(forger: Forger) -> None:
    forger.put(700, canonical({**orjson.loads(forger.body(700)), "tenant": "evil"}))


def _reorder(forger: Forger) -> None:
    one, two = forger.body(700), forger.body(900)
    forger.put(700, two)
    forger.put(900, one)


def _rewrite(forger: Forger) -> None:
    _edit(forger)
    forger.rechain(700)


@pytest.mark.parametrize(
    ("tamper", "fault", "seq"),
    [
        (_edit, Fault.EDITED, 700),
        (lambda forger: forger.db.execute("DELETE FROM records WHERE seq = 700"), Fault.MISSING, 700),
        (_reorder, Fault.REORDERED, 700),
        (_rewrite, Fault.FORKED, 1000),
        (lambda forger: forger.db.execute("DELETE FROM records WHERE seq > 2200"), Fault.TRUNCATED, 2201),
        (Forger.flip_head, Fault.BAD_SIGNATURE, 2000),
        (Forger.append, Fault.FORKED, RECORDS + 1),
    ],
)
def test_the_finding_names_place_and_kind(copy, tamper: Callable[[Forger], object], fault, seq):
    forger = Forger(copy, random.Random(0))
    tamper(forger)
    forger.done()
    seen = verify(copy)
    assert seen.finding is not None
    assert (seen.finding.fault, seen.finding.seq) == (fault, seq)


def test_a_time_that_goes_back_under_the_right_key_is_found(copy):
    forger = Forger(copy, random.Random(0))
    forger.put(700, canonical({**orjson.loads(forger.body(700)), "ts": 1}))
    forger.rechain(701)
    forger.done()
    seen = verify(copy)
    assert seen.finding is not None
    assert (seen.finding.fault, seen.finding.seq) == (Fault.CLOCK_BACK, 700)


def test_a_log_rolled_back_as_a_whole_does_not_fit_the_head_file(copy, original):
    shutil.copy2(original.parent / "older" / LOG_FILE, copy / LOG_FILE)
    seen = verify(copy)
    assert seen.finding is not None
    assert (seen.finding.fault, seen.finding.seq) == (Fault.TRUNCATED, RECORDS - 300 + 1)


def test_a_writer_does_not_go_on_from_a_log_that_was_rolled_back(copy, original):
    shutil.copy2(original.parent / "older" / LOG_FILE, copy / LOG_FILE)
    with AuditLog(copy, key=KEY) as log:
        for number in range(400):  # enough to overtake the head file
            log.record(AuditClass.ADMIN, f"a{number}")
    seen = verify(copy)
    assert seen.status is Status.TAMPERED
    assert seen.finding is not None
    assert f"earlier log of {RECORDS} records was tampered" in seen.finding.message


def test_even_a_bit_of_the_head_file_that_says_nothing_counts(copy):
    path = copy / HEAD_FILE
    text = path.read_bytes()
    assert text[86:88] == b"=="
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    path.write_bytes(text[:85] + bytes([alphabet[alphabet.index(text[85]) ^ 1]]) + text[86:])
    assert verify(copy).status is Status.TAMPERED


def test_a_replaced_signing_key_is_found_by_who_kept_the_public_one(copy, tmp_path):
    kept = verify(copy).public_key
    other = tmp_path / "other"
    with AuditLog(other, key=KEY) as log:
        log.record(AuditClass.ADMIN, "forged history")
    assert verify(other).status is Status.GOOD
    assert verify(other, public_key=kept).status is Status.TAMPERED
    shutil.copy2(other / KEY_FILE, copy / KEY_FILE)
    assert verify(copy).status is Status.TAMPERED
    assert verify(copy, public_key=kept).status is Status.GOOD


@pytest.mark.parametrize("name", ["cut", "flip_head", "flip_head_file", "head_of_a_checkpoint", "append", "cut_and_sign_with_another_key"])
def test_a_writer_does_not_cover_up_what_was_done(copy, name):
    forger = Forger(copy, random.Random(5))
    getattr(forger, name)()
    forger.done()
    with AuditLog(copy, key=KEY) as log:
        log.record(AuditClass.ADMIN, "life goes on")
    seen = verify(copy)
    assert seen.status is Status.TAMPERED
    assert seen.finding is not None
    assert "earlier log" in seen.finding.message
    assert list(copy.glob("audit.db.corrupt-*"))


def test_a_log_that_is_gone_is_missed_before_and_after_the_next_start(copy):
    (copy / LOG_FILE).unlink()
    assert verify(copy).status is Status.TAMPERED
    with AuditLog(copy, key=KEY) as log:
        log.record(AuditClass.ADMIN, "life goes on")
    seen = verify(copy)
    assert seen.status is Status.TAMPERED
    assert f"earlier log of {RECORDS} records was missing" in seen.finding.message
