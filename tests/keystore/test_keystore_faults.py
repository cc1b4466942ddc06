"""The SQLite keystore when the file is damaged, the disk full, the process killed or forked."""

import multiprocessing
import os
import resource
import signal
import sqlite3
import threading
from pathlib import Path

import pytest

from caching_core.errors import KeyUnavailable
from caching_core.keystore import SqliteKeyStore
from caching_core.runtime._run import run_sync

FORK = multiprocessing.get_context("fork")
SPAWN = multiprocessing.get_context("spawn")


@pytest.mark.parametrize("damage", ["empty", "header", "tail", "foreign", "pages"])
def test_a_damaged_file_is_reported_and_left_alone(store, path, damage, row):
    for number in range(40):
        run_sync(store.create(f"tenant-{number}", row()))
    store.close()
    whole = path.read_bytes()
    if damage == "foreign":
        path.unlink()
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE something(x)")
        other.close()
        path.chmod(0o600)
    else:
        broken = {
            "empty": b"",
            "header": b"\xff" * 100 + whole[100:],
            "tail": whole[: len(whole) // 2],
            "pages": whole[:4096] + b"\xa5" * (len(whole) - 4096),
        }
        path.write_bytes(broken[damage])
    before = path.read_bytes()
    with pytest.raises(KeyUnavailable, match=r"damaged.*backup"):
        run_sync(store.load("tenant-1"))
    with pytest.raises(KeyUnavailable, match=r"damaged.*backup"):
        run_sync(store.create("tenant-1", row()))
    assert path.read_bytes() == before


def test_damage_that_the_asked_for_rows_do_not_touch_is_reported_too(path, row):
    store = SqliteKeyStore(path)
    marker = b"MARKER" * 10
    for number in range(150):
        run_sync(store.create(f"tenant-{number}", row(wrapped=marker if number == 140 else None)))
    store.close()
    whole = path.read_bytes()
    page = whole.index(marker) // 4096 * 4096
    path.write_bytes(whole[:page] + b"\xa5" * 4096 + whole[page + 4096 :])
    with pytest.raises(KeyUnavailable, match=r"damaged.*backup"):
        run_sync(store.load("tenant-0"))


def test_a_newer_format_is_not_touched(store, path, row):
    run_sync(store.create("acme", row()))
    store.close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version=2")
    other.close()
    with pytest.raises(KeyUnavailable, match="newer release"):
        run_sync(store.load("acme"))


def test_drafts_of_killed_builders_are_cleared_away(path, row):
    path.parent.mkdir(mode=0o700)
    draft = path.with_name(".keys.db.new-0011")
    draft.touch(0o600)
    run_sync(SqliteKeyStore(path).create("acme", row()))
    assert not draft.exists()


def test_a_held_lock_is_named(path, row):
    store = SqliteKeyStore(path, busy_timeout=0)
    run_sync(store.create("acme", row()))
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(KeyUnavailable, match="busy"):
            run_sync(store.create("beta", row()))
        other.execute("ROLLBACK")
    other.close()
    run_sync(store.create("beta", row()))


def _in_child(body) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            body()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_full_disk_is_named_and_nothing_is_half_written(store, path, row):
    first = row()
    run_sync(store.create("acme", first))
    size = path.stat().st_size

    def fill() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        with pytest.raises(KeyUnavailable, match="full"):
            run_sync(store.create("large", row(wrapped=b"w" * 3 * size)))

    _in_child(fill)
    assert run_sync(store.load("acme")) == [first]


@pytest.mark.parametrize("read_only", ["directory", "file"])
def test_what_cannot_be_written_can_be_read(path, read_only, row):
    first = row()

    def body() -> None:
        if os.geteuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        store = SqliteKeyStore(path)
        run_sync(store.create("acme", first))
        store.close()
        if read_only == "directory":
            path.parent.chmod(0o500)
        else:
            path.chmod(0o400)
        assert run_sync(store.load("acme")) == [first]
        with pytest.raises(KeyUnavailable, match="not writable"):
            run_sync(store.create("beta", row()))
        with pytest.raises(KeyUnavailable, match="not writable"):
            run_sync(SqliteKeyStore(path.parent / "more" / "keys.db").load("acme") if read_only == "directory" else store.destroy("acme"))

    _reachable(path)
    _in_child(body)
    path.parent.chmod(0o700)


def _reachable(path: Path) -> None:
    """Let the child that gave up root walk down to the directory it makes."""
    if os.geteuid() == 0:
        path.parent.mkdir(mode=0o700)
        os.chown(path.parent, 65534, 65534)
        for parent in path.parent.parents:
            if parent == Path("/tmp"):
                break
            if parent.stat().st_uid == 0 and len(parent.parts) > 2:
                parent.chmod(0o755)


def _race(path: Path, barrier, rows, answers) -> None:
    store = SqliteKeyStore(path)
    barrier.wait(30)
    answers.put([run_sync(store.create(f"tenant-{number}", mine)).key_id for number, mine in enumerate(rows)])


def test_eight_processes_agree_on_every_key(path, row):
    barrier, answers = SPAWN.Barrier(8), SPAWN.Queue()
    workers = [SPAWN.Process(target=_race, args=(path, barrier, [row() for _ in range(20)], answers)) for _ in range(8)]
    for worker in workers:
        worker.start()
    got = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    assert all(one == got[0] for one in got)
    assert not list(path.parent.glob(".*"))


def test_a_store_goes_on_on_both_sides_of_a_fork(store, row):
    first = row()
    run_sync(store.create("acme", first))

    def child() -> None:
        assert run_sync(store.load("acme")) == [first]
        run_sync(store.create("from-child", row()))

    _in_child(child)
    run_sync(store.create("from-parent", row()))
    assert run_sync(store.names()) == ["acme", "from-child", "from-parent"]


def test_a_fork_waits_for_the_transaction_of_another_thread(store, row):
    run_sync(store.create("acme", row()))
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with store._writing("write") as connection:
            connection.execute("INSERT INTO tombstones VALUES (?, 'x', 1, 1)", (b"t" * 16,))
            inside.set()
            go_on.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(10)
    threading.Timer(0.05, go_on.set).start()

    def child() -> None:
        assert b"t" * 16 in run_sync(store.tombstones())
        run_sync(store.create("from-child", row()))

    _in_child(child)
    holder.join(10)
    assert run_sync(store.names()) == ["acme", "from-child"]


def _write_until_killed(path: Path, started, row) -> None:
    store = SqliteKeyStore(path)
    started.set()
    number = 0
    while True:
        number += 1
        name = f"tenant-{os.getpid()}-{number}"
        run_sync(store.create(name, row()))
        if number % 3 == 0:
            run_sync(store.destroy(name))


@pytest.mark.parametrize("rounds", [12, pytest.param(200, marks=pytest.mark.faults)])
def test_a_killed_writer_leaves_a_sound_file(path, rounds, row):
    store = SqliteKeyStore(path)
    for seed in range(rounds):
        started = FORK.Event()
        worker = FORK.Process(target=_write_until_killed, args=(path, started, row))
        worker.start()
        assert started.wait(30)
        worker.join(0.002 * (seed % 10))
        os.kill(worker.pid, signal.SIGKILL)
        worker.join(30)
        gone = run_sync(store.tombstones())
        for name in run_sync(store.names()):
            assert all(r.key_id not in gone for r in run_sync(store.load(name)))
    with sqlite3.connect(path) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    other.close()
    store.close()
