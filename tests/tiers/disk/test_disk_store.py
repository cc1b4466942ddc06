"""The disk tier's own promises: one user's directory, one file per generation, bounded, for many threads and processes."""

import os
import random
import sqlite3
import stat
import threading
import time
from pathlib import Path

import pytest

from caching_core.errors import ConfigInvalid, TierUnavailable
from caching_core.runtime._run import run_sync as drive
from caching_core.tiers._protocol import BumpTags, Delete, Expect, NewEpoch, Put
from caching_core.tiers.disk import StoreVoided, UpkeepFailed

FRAME = bytes(1024)
TOKEN = b"t" * 16
MIB = 1 << 20


def disk_bytes(bench) -> int:
    return sum(path.stat().st_size for path in bench.directory.glob("cache-*") if not path.name.endswith("-shm"))


# The directory and its files


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
def test_directory_and_files_are_the_users_alone_whatever_the_umask(bench, mask):
    before = os.umask(mask)
    try:
        store = bench.open()
        drive(store.mutate([Put("a", FRAME, None)]))
        modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in bench.directory.iterdir()}
    finally:
        os.umask(before)
    assert stat.S_IMODE(bench.directory.lstat().st_mode) == 0o700
    name = bench.path().name
    assert modes == {name: 0o600, f"{name}-wal": 0o600, f"{name}-shm": 0o600}


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777])
def test_a_directory_open_to_others_is_refused(bench, mode):
    bench.directory.mkdir()
    bench.directory.chmod(mode)
    with pytest.raises(ConfigInvalid, match="run: chmod 700"):
        bench.open()


def test_a_link_to_a_directory_is_refused(bench, tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    bench.directory.symlink_to(tmp_path / "real")
    with pytest.raises(ConfigInvalid, match="symbolic link"):
        bench.open()


def test_a_file_in_place_of_the_directory_is_refused(bench):
    bench.directory.write_text("")
    with pytest.raises(ConfigInvalid, match="not a directory"):
        bench.open()


def test_another_users_directory_is_refused(bench):
    if os.geteuid() != 0:
        pytest.skip("root: only root can give a directory away")
    bench.directory.mkdir(mode=0o700)
    os.chown(bench.directory, 65534, 65534)
    with pytest.raises(ConfigInvalid, match="belongs to user 65534"):
        bench.open()


@pytest.mark.parametrize("trick", ["symlink", "dangling", "hardlink", "readable", "fifo"])
def test_a_prepared_file_is_refused(bench, tmp_path, trick):
    bench.directory.mkdir(mode=0o700)
    path, target = bench.path(), tmp_path / "target"
    if trick != "dangling":
        target.touch(mode=0o600)
    if trick in {"symlink", "dangling"}:
        path.symlink_to(target)
    elif trick == "hardlink":
        os.link(target, path)
    elif trick == "fifo":
        os.mkfifo(path, 0o600)
    else:
        path.touch()
        path.chmod(0o644)
    with pytest.raises(ConfigInvalid):
        bench.open()
    assert not target.exists() or target.read_bytes() == b""


def test_settings_out_of_range_are_refused(bench):
    with pytest.raises(ConfigInvalid, match="max_bytes"):
        bench.open(max_bytes=1000)
    bench.generation.current = lambda: "../escape"
    with pytest.raises(ConfigInvalid, match="no part of a file name"):
        bench.open()


# Generations


async def test_everybody_follows_a_new_generation(bench, world):
    mine, theirs = bench.open(world), bench.open(world)
    await mine.mutate([Put("a", FRAME, None)], [BumpTags("acme", ("t",))])
    lease = await mine.lease("b", TOKEN, 10_000, tenant="acme", bad=None, fields=["t:t"])
    old = bench.path()
    bench.generation.void("g-0", "a test")
    for store in (mine, theirs):
        assert await store.get("a") is None
        assert await store.get_many(["a"]) == [None]
        assert await store.names("") == []
    assert list((await theirs.mutate([Put("b", FRAME, None, token=TOKEN)])).done) == [False]
    fresh = await theirs.ledger("acme", ["t:t"])
    assert fresh.epoch != lease.ledger.epoch
    assert dict(fresh.fields) == {}
    await theirs.maintain()
    assert [path.name for path in bench.directory.iterdir() if path.name.startswith(old.name)] == []


def test_upkeep_removes_only_what_is_the_stores_own(bench):
    store = bench.open()
    keep = ["keystore.db", "cache.txt", "cache-notes.md", "stamps", "cache-g-1.db.corrupt-17"]
    gone = ["cache-g-1.db", "cache-g-1.db-wal", "cache-g-1.db-shm", "cache-g-1.db.draft-00ff", "cache-g-1.db.draft-00ff-wal"]
    for name in keep + gone:
        (bench.directory / name).touch()
    os.utime(bench.directory / gone[3], (0, 0))
    os.utime(bench.directory / gone[4], (0, 0))
    (bench.directory / "cache-g-2.db.draft-00aa").touch()  # somebody makes it just now
    drive(store.maintain())
    left = {path.name for path in bench.directory.iterdir()}
    assert left >= {*keep, "cache-g-2.db.draft-00aa", bench.path().name}
    assert not left & set(gone)


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_file_changed_from_outside_is_noticed(bench, how):
    store = bench.open()
    drive(store.mutate([Put("a", FRAME, None)]))
    bench.path().unlink()
    if how == "replaced":
        bench.path().touch(mode=0o600)
    drive(store.maintain())
    assert len(bench.heard(StoreVoided)) == 1
    assert drive(store.get("a")) is None
    drive(store.mutate([Put("a", FRAME, None)]))
    assert drive(bench.open().get("a")) is not None


def test_upkeep_reports_instead_of_raising(bench):
    store = bench.open()
    store.close()
    drive(store.maintain())
    assert len(bench.heard(UpkeepFailed)) == 1


# Bounds


def test_the_store_stays_within_its_bytes(bench):
    limit = 4 * MIB
    store = bench.open(max_bytes=limit)
    draw = random.Random(3)
    for number in range(12_000):
        drive(store.mutate([Put(f"k{number}", draw.randbytes(draw.randrange(100, 3000)), None)]))
        if number % 100 == 0:
            assert disk_bytes(bench) <= limit + 256 * 1024
    drive(store.maintain())
    usage = drive(store.usage())
    assert disk_bytes(bench) <= limit
    assert usage.stored_bytes <= limit
    assert usage.entries > 1000
    assert usage.evicted == 12_000 - usage.entries
    assert drive(store.get("k11999")) is not None


def test_what_is_read_outlives_what_is_not(bench):
    store = bench.open(max_bytes=4 * MIB)
    hot = [f"k{number}" for number in range(100)]
    for number in range(8000):
        drive(store.mutate([Put(f"k{number}", FRAME, None)]))
        if number % 200 == 199:
            drive(store.get_many(hot))
            for name in hot:
                drive(store.get(name))
            drive(store.maintain())
    kept = sum(frame is not None for frame in drive(store.get_many(hot)))
    others = sum(frame is not None for frame in drive(store.get_many([f"k{number}" for number in range(100, 200)])))
    assert (kept, others) == (100, 0)


def test_no_read_writes(bench):
    store = bench.open(max_bytes=MIB)
    for number in range(900):
        drive(store.mutate([Put(f"k{number}", FRAME, None)]))
    drive(store.maintain())
    drive(store.maintain())
    with sqlite3.connect(bench.path()) as watcher:
        before = watcher.execute("PRAGMA data_version").fetchone()
        for number in range(900):
            drive(store.get(f"k{number}"))
        drive(store.get_many(["k1", "k2"]))
        drive(store.names("k"))
        drive(store.usage())
        assert watcher.execute("PRAGMA data_version").fetchone() == before
    watcher.close()


def test_a_frame_above_a_quarter_is_not_kept_and_hides_nothing_older(bench):
    store = bench.open(max_bytes=MIB)
    drive(store.mutate([Put("a", FRAME, None)]))
    drive(store.lease("a", TOKEN, 1000, tenant="acme", bad=FRAME[56:80], fields=[]))
    assert list(drive(store.mutate([Put("a", bytes(MIB // 4 + 1), None)])).done) == [False]
    assert drive(store.get("a")) is None
    assert list(drive(store.mutate([Put("a", FRAME, None, token=TOKEN)])).done) == [False]
    assert list(drive(store.mutate([Put("a", bytes(MIB // 4), None)])).done) == [True]


def test_a_full_volume_shrinks_the_store(bench, monkeypatch):
    store = bench.open()
    for number in range(8000):
        drive(store.mutate([Put(f"k{number}", FRAME, None)]))
    drive(store.maintain())
    before = disk_bytes(bench)
    assert before > 8 * MIB
    real = os.statvfs(bench.directory)

    class Crowded:
        f_frsize = 4096
        f_blocks = real.f_blocks
        f_bavail = real.f_blocks // 10 - 1000  # 4 MB more than the tenth that stays free is taken

    monkeypatch.setattr("caching_core.tiers.disk._upkeep.os.statvfs", lambda _path: Crowded)
    for _step in range(20):
        drive(store.maintain())
    assert disk_bytes(bench) < before - 4 * MIB
    assert drive(store.usage()).evicted > 0


def test_expired_rows_leases_and_old_epochs_are_swept(bench):
    clock = [1000]
    store = bench.open(now_ms=lambda: clock[0])
    drive(store.mutate([Put(f"k{number}", FRAME, 2000) for number in range(5000)] + [Put("stays", FRAME, None)]))
    drive(store.mutate([], [BumpTags("acme", tuple(f"t{number}" for number in range(3000))), NewEpoch("acme")]))
    for number in range(50):
        drive(store.lease(f"l{number}", TOKEN, 500, tenant="acme", bad=None, fields=[]))
    clock[0] = 2000
    for _step in range(4):
        drive(store.maintain())
    usage = drive(store.usage())
    assert (usage.entries, usage.expired, usage.details["leases"]) == (1, 5000, 0)
    with sqlite3.connect(bench.path()) as watcher:
        assert watcher.execute("SELECT COUNT(*) FROM fields").fetchone() == (0,)
        assert watcher.execute("SELECT COUNT(*) FROM forgotten").fetchone() == (0,)
    watcher.close()


def test_one_process_does_the_upkeep_for_all(bench):
    clock = [1000]
    mine, theirs = bench.open(now_ms=lambda: clock[0]), bench.open(now_ms=lambda: clock[0])
    drive(mine.maintain())
    drive(mine.mutate([Put("a", FRAME, 1100)]))
    clock[0] = 1200
    drive(theirs.maintain())
    assert drive(theirs.usage()).expired == 0
    drive(mine.maintain())
    assert drive(theirs.usage()).expired == 1
    drive(mine.mutate([Put("b", FRAME, 1300)]))
    clock[0] = 1800
    drive(theirs.maintain())
    assert drive(theirs.usage()).expired == 2


def test_a_reader_that_hangs_does_not_let_the_log_grow_for_ever(bench):
    store = bench.open(max_bytes=8 * MIB)
    drive(store.mutate([Put("a", FRAME, None)]))
    reader = sqlite3.connect(bench.path(), isolation_level=None)
    try:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM entries").fetchall()
        for number in range(20_000):
            drive(store.mutate([Put(f"k{number % 50}", number.to_bytes(4, "big") * 256, None)]))  # equal bytes are not written again
            if bench.generation.reasons:
                break
            if number % 500 == 0:
                drive(store.maintain())
        assert bench.generation.reasons == ["the log could not be cut: a process hangs while it reads"]
    finally:
        reader.close()
    drive(store.maintain())
    assert disk_bytes(bench) < 2 * MIB


# Threads


def test_threads_count_exactly_by_comparing(bench):
    """Eight threads raise one number by compare-and-set: each step happens once."""
    store = bench.open(deadline=10.0)
    drive(store.mutate([Put("n", bytes(56) + (0).to_bytes(24, "big"), None)]))
    failed: list[BaseException] = []

    def count() -> None:
        try:
            for _step in range(50):
                done = False
                while not done:
                    nonce = drive(store.get("n"))[57:81]
                    following = bytes(56) + (int.from_bytes(nonce, "big") + 1).to_bytes(24, "big")
                    (done,) = drive(store.mutate([Put("n", following, None, expect=nonce)])).done
        except BaseException as error:  # noqa: BLE001  the test reports it
            failed.append(error)

    threads = [threading.Thread(target=count) for _thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert int.from_bytes(drive(store.get("n"))[57:81], "big") == 400
    assert bench.generation.reasons == []


def test_one_of_many_threads_gets_the_lease(bench):
    store = bench.open(deadline=10.0)
    gate = threading.Barrier(8)
    granted: list[bool] = []

    def ask(number: int) -> None:
        gate.wait(10)
        lease = drive(store.lease("a", bytes([number]) * 16, 60_000, tenant="acme", bad=None, fields=[]))
        granted.append(lease.granted)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(granted) == [False] * 7 + [True]


def test_closing_while_threads_work_ends_their_calls_cleanly(bench):
    store = bench.open()
    drive(store.mutate([Put("a", FRAME, None)]))
    ended_with: list[type] = []

    def work() -> None:
        try:
            while True:
                drive(store.get("a"))
                drive(store.mutate([Put("a", FRAME, None)]))
        except BaseException as error:  # noqa: BLE001  the test reports it
            ended_with.append(type(error))

    threads = [threading.Thread(target=work) for _thread in range(4)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 10
    while drive(store.get("a")) is None and time.monotonic() < until:
        pass
    store.close()
    for thread in threads:
        thread.join(20)
    assert set(ended_with) == {TierUnavailable}
    held = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    bench.close()
    assert [name for name in held if str(bench.directory) in name and "-shm" not in name] == []


def test_a_connection_lent_while_the_store_closes_is_closed_when_it_returns(bench):
    store = bench.open()
    drive(store.mutate([Put("a", FRAME, None)]))
    pool = store._access.pool
    pool.idle[0].set_trace_callback(lambda _statement: store.close())
    assert drive(store.get("a")) is not None
    assert pool.is_closed()


def test_a_delete_with_absent_expected_does_nothing(bench):
    store = bench.open()
    drive(store.mutate([Put("a", FRAME, None)]))
    assert list(drive(store.mutate([Delete("a", expect=Expect.ABSENT), Delete("b", expect=Expect.ABSENT)])).done) == [False, False]
    assert drive(store.get("a")) is not None


def test_paths_with_signs_of_a_uri_work(bench, tmp_path):
    bench.directory = tmp_path / "a ?b#c%20d&mode=memory é"
    drive(bench.open().mutate([Put("a", FRAME, None)]))
    assert drive(bench.open().get("a")) is not None
    assert isinstance(bench.path(), Path)
    assert bench.path().stat().st_size > 0
