"""The SQLite keystore: one winner, no revival, no silent replacement, nobody else's files."""

import multiprocessing
import os
import resource
import secrets
import shutil
import signal
import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caching_core.crypto import KeyRow, KeyState
from caching_core.errors import ConfigInvalid, KeyUnavailable
from caching_core.keystore import SqliteKeyStore
from caching_core.runtime._run import run_sync

FORK = multiprocessing.get_context("fork")
SPAWN = multiprocessing.get_context("spawn")


def row(state: KeyState = KeyState.PRIMARY, *, key_id: bytes | None = None, wrapped: bytes | None = None) -> KeyRow:
    return KeyRow(
        key_id=key_id or secrets.token_bytes(16),
        state=state,
        wrapped=wrapped or secrets.token_bytes(60),
        kek_id=b"kek-1",
        created_ms=1_700_000_000_000,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "keys.db"


@pytest.fixture
def store(path: Path):
    opened = SqliteKeyStore(path)
    yield opened
    opened.close()


def test_a_row_comes_back_as_it_was(store):
    first = row()
    assert run_sync(store.load("acme")) == []
    assert run_sync(store.create("acme", first)) == first
    assert run_sync(store.load("acme")) == [first]
    assert run_sync(store.load("other")) == []
    assert run_sync(store.names()) == ["acme"]


def test_the_first_writer_wins_and_its_row_is_returned(store):
    first, second = row(), row()
    run_sync(store.create("acme", first))
    assert run_sync(store.create("acme", second)) == first
    assert run_sync(store.load("acme")) == [first]


def test_a_staged_row_stands_beside_the_primary_once(store):
    first, staged = row(), row(KeyState.STAGED)
    run_sync(store.create("acme", first))
    assert run_sync(store.create("acme", staged)) == staged
    assert run_sync(store.create("acme", row(KeyState.STAGED))) == staged
    assert run_sync(store.load("acme")) == [first, staged]


def test_promotion_moves_the_primary_aside(store):
    first, staged = row(), row(KeyState.STAGED)
    run_sync(store.create("acme", first))
    run_sync(store.create("acme", staged))
    run_sync(store.set_state("acme", staged.key_id, KeyState.PRIMARY))
    assert {r.key_id: r.state for r in run_sync(store.load("acme"))} == {first.key_id: KeyState.ENABLED, staged.key_id: KeyState.PRIMARY}


def test_a_disabled_key_is_not_replaced_behind_the_operators_back(store):
    first = row()
    run_sync(store.create("acme", first))
    run_sync(store.set_state("acme", first.key_id, KeyState.DISABLED))
    assert run_sync(store.create("acme", row())).state is KeyState.DISABLED


def test_the_state_of_an_unknown_key_cannot_be_set(store):
    run_sync(store.create("acme", row()))
    with pytest.raises(KeyUnavailable, match="no key"):
        run_sync(store.set_state("acme", b"x" * 16, KeyState.PRIMARY))


def test_destroying_leaves_no_copy_of_the_wrapped_bytes(store, path):
    marker = b"MARKER" * 10
    run_sync(store.create("acme", row(wrapped=marker)))
    assert marker in path.read_bytes()
    run_sync(store.destroy("acme"))
    for file in path.parent.iterdir():
        assert marker not in file.read_bytes(), file
    assert run_sync(store.load("acme")) == []
    assert run_sync(store.names()) == []


def test_after_destruction_a_new_generation_begins_and_the_old_key_cannot_return(store):
    first, second = row(), row()
    run_sync(store.create("acme", first))
    assert run_sync(store.destroy("acme")) == [first.key_id]
    with pytest.raises(KeyUnavailable, match="destroyed"):
        run_sync(store.create("acme", first))
    assert run_sync(store.create("acme", second)) == second
    assert run_sync(store.generation("acme")) == 2
    assert run_sync(store.tombstones()) == {first.key_id}


def test_one_key_can_be_destroyed_alone(store):
    first, staged = row(), row(KeyState.STAGED)
    run_sync(store.create("acme", first))
    run_sync(store.create("acme", staged))
    run_sync(store.set_state("acme", staged.key_id, KeyState.DESTROYED))
    assert run_sync(store.load("acme")) == [first]
    with pytest.raises(KeyUnavailable):
        run_sync(store.set_state("acme", staged.key_id, KeyState.PRIMARY))


def test_an_older_copy_of_the_file_does_not_revive_a_key(store, path, tmp_path):
    first = row()
    run_sync(store.create("acme", first))
    shutil.copy2(path, tmp_path / "backup")
    run_sync(store.destroy("acme"))
    shutil.copy2(tmp_path / "backup", path.with_name("restored"))
    path.with_name("restored").replace(path)
    assert run_sync(store.load("acme")) == []
    assert run_sync(store.names()) == []
    with pytest.raises(KeyUnavailable, match="destroyed"):
        run_sync(store.create("acme", first))
    run_sync(store.create("acme", row()))
    assert run_sync(store.generation("acme")) == 2


def test_ids_buried_from_elsewhere_are_refused(store):
    first = row()
    run_sync(store.create("acme", first))
    run_sync(store.bury([first.key_id, b"y" * 16]))
    assert run_sync(store.load("acme")) == []
    with pytest.raises(KeyUnavailable, match="destroyed"):
        run_sync(store.create("beta", row(key_id=b"y" * 16)))


def test_a_torn_last_line_of_the_list_is_dropped_and_a_damaged_one_is_reported(store, path):
    first = row()
    run_sync(store.create("acme", first))
    listed = path.with_name("keys.db.destroyed")
    listed.touch(0o600)
    listed.write_bytes(b"00112233")
    run_sync(store.destroy("acme"))
    assert listed.read_bytes() == first.key_id.hex().encode() + b"\n"
    listed.write_bytes(b"z" * 32 + b"\n")
    with pytest.raises(KeyUnavailable, match="line 1"):
        run_sync(store.names())


def test_files_are_for_the_owner_only(store, path):
    run_sync(store.create("acme", row()))
    run_sync(store.destroy("acme"))
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_a_directory_open_to_others_is_refused(path, mode):
    path.parent.mkdir()
    path.parent.chmod(mode)
    with pytest.raises(ConfigInvalid, match="chmod 700"):
        run_sync(SqliteKeyStore(path).load("acme"))
    assert not path.exists()


def test_a_file_open_to_others_is_refused(store, path):
    run_sync(store.create("acme", row()))
    store.close()
    path.chmod(0o640)
    with pytest.raises(ConfigInvalid, match="chmod 600"):
        run_sync(store.load("acme"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_foreign_owner_is_refused(store, path):
    run_sync(store.create("acme", row()))
    store.close()
    os.chown(path, 4242, -1)
    with pytest.raises(ConfigInvalid, match="belongs to user 4242"):
        run_sync(store.load("acme"))
    os.chown(path, os.geteuid(), -1)
    os.chown(path.parent, 4242, -1)
    with pytest.raises(ConfigInvalid, match="belongs to user 4242"):
        run_sync(store.load("acme"))


def test_links_are_refused(store, path, tmp_path):
    run_sync(store.create("acme", row()))
    store.close()
    link = tmp_path / "link"
    link.symlink_to(path.parent)
    with pytest.raises(ConfigInvalid, match="symbolic link"):
        run_sync(SqliteKeyStore(link / "keys.db").load("acme"))
    os.link(path, tmp_path / "second")
    with pytest.raises(ConfigInvalid, match="hard links"):
        run_sync(store.load("acme"))
    path.unlink()
    path.symlink_to(tmp_path / "second")
    with pytest.raises(ConfigInvalid, match="symbolic link"):
        run_sync(store.load("acme"))
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigInvalid, match="symbolic link"):
        run_sync(store.load("acme"))
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("damage", ["empty", "header", "tail", "foreign", "pages"])
def test_a_damaged_file_is_reported_and_left_alone(store, path, damage):
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


def test_a_newer_format_is_not_touched(store, path):
    run_sync(store.create("acme", row()))
    store.close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version=2")
    other.close()
    with pytest.raises(KeyUnavailable, match="newer release"):
        run_sync(store.load("acme"))


def test_drafts_of_killed_builders_are_cleared_away(path):
    path.parent.mkdir(mode=0o700)
    draft = path.with_name(".keys.db.new-0011")
    draft.touch(0o600)
    run_sync(SqliteKeyStore(path).create("acme", row()))
    assert not draft.exists()


def test_a_held_lock_is_named(path):
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


def test_a_full_disk_is_named_and_nothing_is_half_written(store, path):
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
def test_what_cannot_be_written_can_be_read(path, read_only):
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


def _race(path: Path, barrier, answers) -> None:
    store = SqliteKeyStore(path)
    barrier.wait(30)
    answers.put([run_sync(store.create(f"tenant-{number}", row())).key_id for number in range(20)])


def test_eight_processes_agree_on_every_key(path):
    barrier, answers = SPAWN.Barrier(8), SPAWN.Queue()
    workers = [SPAWN.Process(target=_race, args=(path, barrier, answers)) for _ in range(8)]
    for worker in workers:
        worker.start()
    got = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    assert all(one == got[0] for one in got)
    assert not list(path.parent.glob(".*"))


def test_threads_share_one_store(store):
    barrier = threading.Barrier(16)
    got = []

    def create() -> None:
        barrier.wait(10)
        got.append(run_sync(store.create("acme", row())))

    threads = [threading.Thread(target=create) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(got) == 16
    assert len(set(got)) == 1


def test_a_store_goes_on_on_both_sides_of_a_fork(store):
    first = row()
    run_sync(store.create("acme", first))

    def child() -> None:
        assert run_sync(store.load("acme")) == [first]
        run_sync(store.create("from-child", row()))

    _in_child(child)
    run_sync(store.create("from-parent", row()))
    assert run_sync(store.names()) == ["acme", "from-child", "from-parent"]


def test_a_fork_waits_for_the_transaction_of_another_thread(store):
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


def _write_until_killed(path: Path, started) -> None:
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
def test_a_killed_writer_leaves_a_sound_file(path, rounds):
    store = SqliteKeyStore(path)
    for seed in range(rounds):
        started = FORK.Event()
        worker = FORK.Process(target=_write_until_killed, args=(path, started))
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


@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["create", "stage", "promote", "destroy", "reopen"]), st.sampled_from(["a", "b"])),
        max_size=20,
    )
)
def test_any_history_keeps_one_primary_and_no_destroyed_key(tmp_path_factory, steps):
    store = SqliteKeyStore(tmp_path_factory.mktemp("history") / "state" / "keys.db")
    gone: set[bytes] = set()
    for verb, name in steps:
        if verb == "create":
            run_sync(store.create(name, row()))
        elif verb == "stage":
            run_sync(store.create(name, row(KeyState.STAGED)))
        elif verb == "promote":
            for standing in run_sync(store.load(name))[-1:]:
                run_sync(store.set_state(name, standing.key_id, KeyState.PRIMARY))
        elif verb == "destroy":
            gone |= set(run_sync(store.destroy(name)))
        else:
            store.close()
        rows = [r for each in ("a", "b") for r in run_sync(store.load(each))]
        assert not gone & {r.key_id for r in rows}
        for each in ("a", "b"):
            assert sum(r.state is KeyState.PRIMARY for r in run_sync(store.load(each))) <= 1
    assert run_sync(store.tombstones()) == gone
    store.close()
