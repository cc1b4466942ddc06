"""The audit log in ordinary life: what is recorded, in which form, by how many processes."""

import hashlib
import itertools
import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caching_core import events
from caching_core.audit import AuditClass, AuditLog, EventRecorder, Outcome, Status, destroyed_keys, open_pii, tail, verify
from caching_core.audit._chain import CHECKPOINT_RECORDS
from caching_core.audit._privacy import Privacy
from caching_core.audit._record import body_of, canonical, clean
from caching_core.errors import AuditUnavailable, ConfigInvalid
from caching_core.events import Hooks
from caching_core.keystore import SqliteKeyStore
from caching_core.runtime._run import run_sync

KEY = bytes(range(32))
KEPT = []
SPAWN = multiprocessing.get_context("spawn")
FIELDS = {
    "v", "log", "seq", "ts", "class", "action", "outcome", "tenant", "actor", "source", "object", "count", "detail", "pii", "prev",
}  # fmt: skip


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@pytest.fixture
def log(directory: Path):
    with AuditLog(directory, key=KEY) as opened:
        yield opened


def bodies(directory: Path) -> list[bytes]:
    with sqlite3.connect(directory / "audit.db") as connection:
        rows = connection.execute("SELECT body FROM records ORDER BY seq").fetchall()
    connection.close()
    return [text for (text,) in rows]


def test_a_record_has_the_documented_shape_and_is_canonical(log, directory):
    log.record(
        AuditClass.AUTH, "access_refused", Outcome.DENIED, tenant="acme", actor_type="user", actor="bob@example.org", ip="192.0.2.7",
        request="req-1", namespace="default", key="user:7", detail={"permission": "read"}, private={"user_agent": "curl"},
    )  # fmt: skip
    assert log.flush()
    (text,) = bodies(directory)
    body = orjson.loads(text)
    assert set(body) == FIELDS
    assert canonical(body) == text
    assert (body["class"], body["outcome"], body["seq"], body["count"]) == ("AUTH", "denied", 1, 1)
    assert set(body["actor"]) == {"type", "id"}
    assert set(body["source"]) == {"ip", "request"}
    assert set(body["object"]) == {"namespace", "key"}
    for clear in (b"bob@example.org", b"192.0.2.7", b"user:7", b"curl"):
        assert clear not in text
    told = orjson.loads(open_pii(body["pii"], "acme", KEY))
    assert told == {"actor": "bob@example.org", "ip": "192.0.2.7", "key": "user:7", "user_agent": "curl"}
    assert open_pii(body["pii"], "other", KEY) is None
    assert open_pii(body["pii"], "acme", bytes(32)) is None
    assert open_pii("???", "acme", KEY) is None


def test_each_record_names_the_hash_of_the_one_before(log, directory):
    for number in range(5):
        log.record(AuditClass.ADMIN, f"action-{number}")
    assert log.flush()
    texts = bodies(directory)
    for before, after in itertools.pairwise(texts):
        assert orjson.loads(after)["prev"] == hashlib.sha256(before).hexdigest()


def test_hashes_are_the_same_for_one_tenant_and_differ_between_two(log, directory):
    for tenant in ("acme", "acme", "beta"):
        log.record(AuditClass.ADMIN, "clear", tenant=tenant, actor="bob")
    assert log.flush()
    first, second, other = tail(directory, 3)
    assert first.actor == second.actor != other.actor


def test_a_key_for_each_tenant_can_be_destroyed_and_the_proof_holds(directory):
    keys = {"acme": b"a" * 32, "": b"h" * 32}
    with AuditLog(directory, key=lambda tenant: keys[tenant]) as log:
        log.record(AuditClass.ADMIN, "clear", tenant="acme", actor="bob")
    (record,) = tail(directory, 1)
    assert open_pii(record.pii, "acme", keys["acme"]) == b'{"actor":"bob"}'
    keys["acme"] = b"n" * 32
    assert open_pii(record.pii, "acme", keys["acme"]) is None
    assert verify(directory).status is Status.GOOD


def test_a_short_key_is_refused(directory):
    with pytest.raises(ConfigInvalid, match="32 bytes"):
        AuditLog(directory, key=b"short")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("plain ünï 日本", "plain ünï 日本"),
        ("a\nb\r\0", "a\\x0ab\\x0d\\x00"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\\nb", "a\\\\nb"),
        ("\u202eevil\u200b\ud800", "\\u202eevil\\u200b\\ud800"),
        ("x" * 300, "x" * 256 + "…+44"),
        ('","class":"ADMIN', '","class":"ADMIN'),
    ],
)
def test_fields_are_cut_and_escaped(given, kept):
    assert clean(given) == kept


def test_a_megabyte_of_user_agent_cannot_forge_or_swell_a_record(log, directory):
    agent = '\n{"class":"ADMIN","action":"shred"}\x1b[2J' * 30000
    log.record(AuditClass.SECURITY, "entry_refused", request=agent, detail={"agent": agent}, private={"agent": agent}, tenant="t")
    assert log.flush()
    (text,) = bodies(directory)
    assert len(text) < 8000
    assert b"\n" not in text
    assert b"\x1b" not in text
    assert orjson.loads(text)["class"] == "SECURITY"
    assert verify(directory).status is Status.GOOD


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(
    words=st.lists(st.text(st.characters(exclude_categories=())), min_size=8, max_size=8),
    detail=st.dictionaries(st.text(), anything, max_size=5),
)
def test_whatever_a_caller_passes_becomes_a_record(words, detail):
    entry = (AuditClass.ADMIN, words[0], Outcome.OK, *words[1:8], 1, detail, {"x": words[0]}, 1.5)
    text = canonical(body_of(entry, Privacy(KEY)))
    assert b"\n" not in text
    assert orjson.loads(text)["ts"] == 1500


def test_files_are_the_owners_alone(log, directory):
    log.record(AuditClass.ADMIN, "clear")
    assert log.flush()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for file in directory.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_a_directory_open_to_others_refuses_admin_records_and_says_why(directory):
    directory.mkdir(mode=0o755)
    log = AuditLog(directory, key=KEY, queue_size=0)
    with pytest.raises(ConfigInvalid, match="chmod 700"):
        log.record(AuditClass.ADMIN, "clear")
    assert list(directory.iterdir()) == []


def test_checkpoints_come_every_thousand_records_and_every_minute(directory):
    now = [1_700_000_000.0]
    with AuditLog(directory, key=KEY, clock=lambda: now[0]) as log:
        for number in range(2 * CHECKPOINT_RECORDS + 500):
            log.record(AuditClass.ADMIN, f"a{number}")
        assert log.flush()
        assert verify(directory).checkpoints == 3
        now[0] += 59
        assert log.flush()
        assert verify(directory).checkpoints == 3
        now[0] += 1
        assert log.flush()
    seen = verify(directory)
    assert (seen.checkpoints, seen.records, seen.status) == (4, 2 * CHECKPOINT_RECORDS + 500, Status.GOOD)


def test_a_clock_that_jumps_back_is_told_and_is_no_tampering(directory):
    now = [1_700_000_000.0]
    with AuditLog(directory, key=KEY, clock=lambda: now[0]) as log:
        log.record(AuditClass.ADMIN, "before")
        assert log.flush()
        now[0] -= 3600
        log.record(AuditClass.ADMIN, "after")
        assert log.flush()
        now[0] += 0.5
        log.record(AuditClass.ADMIN, "later")
    told = tail(directory, 9)
    assert [record.action for record in told] == ["before", "clock_back", "after", "later"]
    assert told[1].detail == {"from": 1_700_000_000_000, "to": 1_699_996_400_000}
    seen = verify(directory)
    assert seen.status is Status.GOOD
    assert "set back 1 times" in seen.notes[0]


def _write(directory: Path, name: str, count: int) -> None:
    with AuditLog(directory, key=KEY) as log:
        for number in range(count):
            log.record(AuditClass.ADMIN, f"{name}-{number}")


def test_processes_append_to_one_chain(directory):
    workers = [SPAWN.Process(target=_write, args=(directory, f"p{number}", 700)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    seen = verify(directory)
    assert (seen.status, seen.records) == (Status.GOOD, 2800)
    actions = [record.action for record in tail(directory, 2800)]
    for number in range(4):
        assert [one for one in actions if one.startswith(f"p{number}-")] == [f"p{number}-{n}" for n in range(700)]


def test_threads_lose_nothing(log, directory):
    def write(name: int) -> None:
        for number in range(500):
            log.record(AuditClass.ADMIN, f"{name}-{number}")

    threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert log.flush()
    assert verify(directory).records == 4000


def test_a_fork_goes_on_in_both_and_writes_nothing_twice(log, directory):
    log.record(AuditClass.ADMIN, "opened")
    assert log.flush()
    for number in range(50):
        log.record(AuditClass.ADMIN, f"waiting-{number}")
    child = os.fork()
    if child == 0:
        try:
            log.record(AuditClass.ADMIN, "from-child", actor="bob")
            os._exit(0 if log.flush(10) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    log.record(AuditClass.ADMIN, "from-parent", actor="bob")
    assert log.flush()
    actions = sorted(record.action for record in tail(directory, 99))
    assert actions == sorted(["opened", *(f"waiting-{number}" for number in range(50)), "from-child", "from-parent"])
    assert verify(directory).status is Status.GOOD
    told = [record for record in tail(directory, 99) if record.actor]
    assert len({record.pii for record in told}) == 2
    assert len({record.actor for record in told}) == 1


@pytest.mark.parametrize("ending", ["pass", "sys.exit(3)", "raise RuntimeError('x')"])
def test_what_waits_at_exit_is_written(directory, ending):
    script = (
        "import sys\nfrom caching_core.audit import *\n"
        f"log = AuditLog({str(directory)!r}, key=bytes(32))\n"
        "for n in range(100): log.record(AuditClass.AUTH, 'denied', Outcome.DENIED, tenant='t')\n"
        f"{ending}\n"
    )
    subprocess.run([sys.executable, "-c", script], check=False, timeout=60, stderr=subprocess.DEVNULL)
    seen = tail(directory, 200)
    assert sum(record.count for record in seen) == 100
    assert seen[-1].action == "repeated"


def _in_multiprocessing(directory: Path) -> None:
    log = AuditLog(directory, key=KEY)
    log.record(AuditClass.ADMIN, "from-worker")
    KEPT.append(log)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_multiprocessing_worker_writes_what_waits_when_it_ends(directory, method):
    worker = multiprocessing.get_context(method).Process(target=_in_multiprocessing, args=(directory,))
    worker.start()
    worker.join(60)
    assert worker.exitcode == 0
    assert [record.action for record in tail(directory, 5)] == ["from-worker"]


def test_a_log_begins_again_after_it_was_closed(log, directory):
    log.record(AuditClass.ADMIN, "one")
    log.close()
    log.record(AuditClass.ADMIN, "two")
    log.close()
    assert [record.action for record in tail(directory, 5)] == ["one", "two"]


def test_tail_and_verify_of_nothing_say_so(directory):
    assert verify(directory).status is Status.INCOMPLETE
    assert verify(directory).status.exit_code == 3
    with pytest.raises(AuditUnavailable, match="no audit log"):
        tail(directory, 1)


def test_events_become_records(log, directory):
    hooks = Hooks()
    hooks.subscribe(EventRecorder(log, actor=lambda: ("user", "root")))
    kinds = [
        kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event) and kind is not events.Event
    ]
    samples = {
        "str": "word", "int": 3, "bytes": b"k" * 16, "tuple[bytes, ...]": (b"k" * 16, b"l" * 16), "pathlib.Path | None": Path("aside.db"),
    }  # fmt: skip
    for kind in kinds:
        hints = {name: getattr(field.type, "__name__", str(field.type)) for name, field in kind.__dataclass_fields__.items()}
        hints = {name: "tuple[bytes, ...]" if name == "key_ids" else hint for name, hint in hints.items()}
        hooks.emit(kind(**{name: samples[hint] for name, hint in hints.items()}))
    assert log.flush()
    assert len(tail(directory, 99)) == len(kinds)
    assert verify(directory).status is Status.GOOD
    (aside,) = (record for record in tail(directory, 99) if record.action == "store_quarantined")
    assert aside.detail == {"kept_as": "aside.db", "reason": "word"}
    refused = next(record for record in tail(directory, 99) if record.action == "entry_refused")
    assert (refused.cls, refused.outcome, refused.tenant, refused.actor_type) == ("SECURITY", "denied", "word", "user")


def test_destroyed_keys_are_kept_for_a_keystore_from_a_backup(log, directory, tmp_path):
    EventRecorder(log)(events.KeysDestroyed("acme", (b"a" * 16, b"b" * 16)))
    log.record(AuditClass.ADMIN, "clear")
    assert log.flush()
    assert destroyed_keys(directory) == {b"a" * 16, b"b" * 16}
    store = SqliteKeyStore(tmp_path / "keys" / "keys.db")
    run_sync(store.bury(destroyed_keys(directory)))
    assert run_sync(store.tombstones()) == {b"a" * 16, b"b" * 16}
    store.close()


def test_a_value_that_cannot_be_shown_costs_only_its_own_record(log, directory, caplog):
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no")

    log.record(AuditClass.ADMIN, "one")
    log.record(AuditClass.ADMIN, "two", actor=Hostile())
    log.record(AuditClass.ADMIN, "three")
    assert log.flush()
    assert [record.action for record in tail(directory, 9)] == ["one", "unreadable", "three"]
    assert "could not be read" in caplog.text
