"""The audit log under overload, on a disk that is full or damaged, and when its writer is killed."""

import logging
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sqlite3
import threading
from pathlib import Path

import pytest

from caching_core.audit import AuditClass, AuditLog, Outcome, Status, tail, verify
from caching_core.audit._record import body_of
from caching_core.errors import AuditUnavailable

KEY = bytes(32)
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "audit"


def deny(log: AuditLog, tenant: str = "acme", action: str = "access_refused") -> None:
    log.record(AuditClass.AUTH, action, Outcome.DENIED, tenant=tenant)


class Held:
    """Keeps the log's write lock, as a stuck process would."""

    def __init__(self, directory: Path) -> None:
        self.db = sqlite3.connect(directory / "audit.db", isolation_level=None)
        self.db.execute("BEGIN IMMEDIATE")

    def release(self) -> None:
        self.db.execute("ROLLBACK")
        self.db.close()


def test_a_flood_becomes_one_record_with_an_exact_count(directory):
    now = [1_700_000_000.25]
    with AuditLog(directory, key=KEY, clock=lambda: now[0]) as log:
        for _ in range(1000):
            deny(log)
        for _ in range(40):
            deny(log, tenant="beta")
        now[0] += 30
        deny(log)
        assert log.flush()
        assert len(tail(directory, 999)) == 90
        now[0] += 31
        deny(log)
        assert log.flush()
    records = tail(directory, 999)
    repeated = [record for record in records if record.action == "repeated"]
    assert len(records) == 92
    assert len(repeated) == 1
    assert (repeated[0].count, repeated[0].tenant, repeated[0].cls, repeated[0].outcome) == (951, "acme", "AUTH", "denied")
    assert repeated[0].detail == {"of": "access_refused", "first": 1_700_000_000_250, "last": 1_700_000_030_250, "denied": 951}
    assert sum(record.count for record in records) == 1042
    assert verify(directory).status is Status.GOOD


def test_a_flood_from_many_threads_is_counted_exactly(directory):
    with AuditLog(directory, key=KEY, clock=lambda: 1_700_000_000.0) as log:
        threads = [threading.Thread(target=lambda: [deny(log) for _ in range(2000)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert sum(record.count for record in tail(directory, 999)) == 16000


def test_a_flood_of_tenants_is_bounded_and_counted(directory):
    with AuditLog(directory, key=KEY, clock=lambda: 1_700_000_000.0) as log:
        for number in range(6000):
            deny(log, tenant=f"t{number}")
        assert len(log._writer.throttle._windows) <= 4097
    records = tail(directory, 9999)
    assert sum(record.count for record in records) == 6000
    assert [record.tenant for record in records if record.action == "repeated"] == ["*"]


def test_a_full_queue_counts_denials_and_refuses_none(directory):
    with AuditLog(directory, key=KEY, queue_size=10) as log:
        log.record(AuditClass.ADMIN, "first")
        assert log.flush()
        held = Held(directory)
        for number in range(3000):
            deny(log, tenant=f"t{number % 70}")
        held.release()
    assert sum(record.count for record in tail(directory, 9999)) == 3001
    assert verify(directory).status is Status.GOOD


def test_admin_records_wait_then_spill_and_join_the_chain_later(directory):
    with AuditLog(directory, key=KEY, queue_size=3) as log:
        log.record(AuditClass.ADMIN, "first")
        assert log.flush()
        held = Held(directory)
        for number in range(12):
            log.record(AuditClass.ADMIN, f"clear-{number}", key="secret-key")
        spilled = (directory / "audit.spill").read_bytes()
        assert spilled.count(b"\n") >= 12 - 3 - 4
        assert b"secret-key" not in spilled
        assert verify(directory).status is Status.INCOMPLETE
        held.release()
        assert log.flush(10)
        assert verify(directory).status is Status.GOOD
        assert (directory / "audit.spill").stat().st_size == 0
    assert sorted(record.action for record in tail(directory, 99)) == sorted(["first", *(f"clear-{number}" for number in range(12))])


def lines_of_spill(directory: Path, count: int) -> bytes:
    """Return what the spill file holds after ``count`` ADMIN records found no room."""
    spill = AuditLog(directory, key=KEY)._writer._spill
    privacy = AuditLog(directory, key=KEY)._writer._privacy
    for number in range(count):
        entry = (AuditClass.ADMIN, f"spilled-{number}", Outcome.OK, "", "system", "", "", "", "", "", 1, None, None, 1_700_000_000.0)
        spill.add([body_of(entry, privacy)])
    return (directory / "audit.spill").read_bytes()


def test_the_spill_file_joins_the_chain_at_the_next_start_and_only_once(directory):
    text = lines_of_spill(directory, 3)
    for _ in range(2):
        with AuditLog(directory, key=KEY) as log:
            log.record(AuditClass.ADMIN, "next")
        (directory / "audit.spill").write_bytes(text)  # as if the process had died before it could empty the file
    with AuditLog(directory, key=KEY) as log:
        log.record(AuditClass.ADMIN, "next")
    assert [record.action for record in tail(directory, 99)] == ["spilled-0", "spilled-1", "spilled-2", "next", "next", "next"]
    assert verify(directory).status is Status.GOOD


def test_a_cut_line_of_the_spill_file_is_told_and_a_forged_one_refused(directory):
    text = lines_of_spill(directory, 3)
    first, second, third = text.splitlines(keepends=True)
    (directory / "audit.spill").write_bytes(first + second.replace(b"spilled-1", b"forged-00") + third[:-40])
    lines_of_spill(directory, 1)
    with AuditLog(directory, key=KEY) as log:
        log.record(AuditClass.ADMIN, "next")
    told = {record.action: record for record in tail(directory, 99)}
    assert list(told) == ["spilled-0", "torn", "spill_rejected", "next"]
    assert (told["torn"].cls, told["torn"].count) == ("SYSTEM", 1)
    assert (told["spill_rejected"].cls, told["spill_rejected"].count) == ("SECURITY", 1)


def test_a_full_disk_refuses_admin_never_denials_and_loses_nothing_that_was_accepted(directory, caplog):
    log = AuditLog(directory, key=KEY, queue_size=5)
    log.record(AuditClass.ADMIN, "first")
    assert log.flush()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    accepted = 1
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
        refused = 0
        with caplog.at_level(logging.CRITICAL + 1):
            for _ in range(20):
                try:
                    log.record(AuditClass.ADMIN, "clear")
                    accepted += 1
                except AuditUnavailable:
                    refused += 1
            for _ in range(200):
                deny(log)
            with pytest.raises(AuditUnavailable, match="free the disk"):
                log.record(AuditClass.ADMIN, "clear")
        assert refused
        assert log.trouble
        assert not log.flush(0.05)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert log.flush(20)
    log.close()
    assert sum(record.count for record in tail(directory, 999)) == accepted + 200
    assert verify(directory).status is Status.GOOD


@pytest.mark.parametrize("damage", ["empty", "header", "pages"])
def test_a_damaged_log_is_kept_aside_and_a_new_one_says_so(directory, damage):
    with AuditLog(directory, key=KEY) as log:
        for number in range(300):
            log.record(AuditClass.ADMIN, f"a{number}")
    path = directory / "audit.db"
    whole = path.read_bytes()
    broken = {"empty": b"", "header": b"\xa5" * 100 + whole[100:], "pages": whole[:4096] + b"\xa5" * (len(whole) - 4096)}[damage]
    path.write_bytes(broken)
    assert verify(directory).status is Status.TAMPERED
    with AuditLog(directory, key=KEY) as log:
        log.record(AuditClass.ADMIN, "next")
    (aside,) = directory.glob("audit.db.corrupt-*")
    assert aside.read_bytes()[:100] == broken[:100]
    reset, following = tail(directory, 9)
    assert (reset.action, following.action) == ("log_reset", "next")
    assert reset.detail["seq"] == 300
    seen = verify(directory)
    assert (seen.status, seen.status.exit_code) == (Status.INCOMPLETE, 3)


def test_what_a_killed_process_had_not_committed_is_not_there_and_harms_nothing(directory, tmp_path):
    log = AuditLog(directory, key=KEY)
    for number in range(20):
        log.record(AuditClass.ADMIN, f"a{number}")
    assert log.flush()
    copy = Path(shutil.copytree(directory, tmp_path / "copy"))  # files of a process that still has them open: no clean end
    wal = copy / "audit.db-wal"
    whole = wal.read_bytes()
    for torn in (whole + whole[32 : 32 + 2000], whole + os.urandom(5000)):
        wal.write_bytes(torn)
        (copy / "audit.db-shm").unlink(missing_ok=True)
        seen = verify(copy)
        assert (seen.status, seen.records) == (Status.GOOD, 20)
    with AuditLog(copy, key=KEY) as other:
        other.record(AuditClass.ADMIN, "next")
    assert (verify(copy).status, verify(copy).records) == (Status.GOOD, 21)
    log.close()


def _write_until_killed(directory: Path, started) -> None:
    log = AuditLog(directory, key=KEY)
    number = 0
    while True:
        number += 1
        log.record(AuditClass.ADMIN, f"a{number}", actor="bob")
        if number % 50 == 0:
            log.flush()
            started.set()


@pytest.mark.parametrize("rounds", [15, pytest.param(200, marks=pytest.mark.faults)])
def test_no_false_alarm_after_kills_at_random_points(directory, rounds):
    rng = random.Random(rounds)
    for _ in range(rounds):
        events = [FORK.Event(), FORK.Event()]
        workers = [FORK.Process(target=_write_until_killed, args=(directory, event)) for event in events]
        for worker in workers:
            worker.start()
        assert events[rng.randrange(2)].wait(30)
        workers[0].join(rng.random() * 0.05)
        for worker in workers:
            os.kill(worker.pid, signal.SIGKILL)
            worker.join(30)
        seen = verify(directory)
        assert seen.status is Status.GOOD, seen
    assert seen.records >= 50 * rounds


def test_no_false_alarm_while_the_log_is_written(directory):
    started = FORK.Event()
    worker = FORK.Process(target=_write_until_killed, args=(directory, started))
    worker.start()
    try:
        assert started.wait(30)
        for _ in range(10):
            seen = verify(directory)
            assert seen.status is Status.GOOD, seen
    finally:
        worker.kill()
        worker.join(30)


def test_a_log_on_a_read_only_volume_can_be_verified(directory):
    with AuditLog(directory, key=KEY) as log:
        log.record(AuditClass.ADMIN, "first")
    (directory / "audit.db").chmod(0o400)
    (directory / "audit.head").chmod(0o400)
    directory.chmod(0o500)
    if os.geteuid() == 0:
        for path in (directory, *directory.iterdir()):
            os.chown(path, 65534, 65534)
        for parent in directory.parents:
            if parent.stat().st_mode & 0o077 == 0:
                parent.chmod(0o755)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            code = 0 if verify(directory).status is Status.GOOD and len(tail(directory, 5)) == 1 else 3
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    directory.chmod(0o700)
