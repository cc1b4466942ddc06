"""What the disk tier does when processes die or stop, the disk is full, and files are damaged."""

import asyncio
import contextlib
import os
import random
import resource
import select
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from caching_core.errors import DeadlineExceeded, TierUnavailable
from caching_core.runtime._run import run_sync
from caching_core.tiers._protocol import BumpTags, Delete, MarkStale, NewEpoch, Put
from caching_core.tiers.disk import DiskStore, StoreQuarantined, StoreVoided

FRAME = bytes(range(256)) * 4
TOKEN = b"t" * 16
NOBODY = 65534


def drive(coro):
    return run_sync(coro)


def child(work: Callable[[], object]) -> int:
    """Fork; the child does ``work`` and ends 0, or 1 with a traceback."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001  whatever it was, the child ends here
        traceback.print_exc()
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    """Wait for a child and return its exit code (negative: the signal)."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@contextlib.contextmanager
def killed_at_the_end(pid: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def wait_for(descriptor: int) -> bytes:
    """Read what a child says, within ten seconds."""
    assert select.select([descriptor], [], [], 10)[0], "the child said nothing"
    return os.read(descriptor, 64)


def is_whole(path: Path) -> bool:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# Processes that die, stop or fork


def kill_rounds(bench, rounds: int) -> None:
    """Four processes write pairs in one transaction each; one is killed at a random moment, each round."""
    draw = random.Random(5)

    def write_for_ever(seed: int) -> None:
        store = bench.open()
        numbers = random.Random(seed)
        while True:
            pair = numbers.randrange(50)
            body = numbers.randbytes(numbers.choice([100, 1000, 9000]))
            drive(store.mutate([Put(f"a{pair}", body, None), Put(f"b{pair}", body, None)], [BumpTags("acme", (f"t{pair}",))]))

    writers = [child(lambda seed=seed: write_for_ever(seed)) for seed in range(4)]
    try:
        for turn in range(rounds):
            time.sleep(draw.uniform(0.001, 0.02))  # the moment of the kill is the subject, not a wait
            os.kill(writers[turn % 4], signal.SIGKILL)
            assert ended(writers[turn % 4]) == -signal.SIGKILL
            writers[turn % 4] = child(lambda seed=turn: write_for_ever(1000 + seed))
    finally:
        for pid in writers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    store = bench.open(deadline=2.0)
    for pair in range(50):
        assert drive(store.get(f"a{pair}")) == drive(store.get(f"b{pair}"))
    assert drive(store.ledger("acme", [])).seq > rounds
    assert is_whole(bench.path())
    assert bench.generation.reasons == []
    assert not bench.heard(StoreQuarantined)


def test_killed_writers_leave_a_whole_file(bench):
    kill_rounds(bench, 20)


@pytest.mark.slow
def test_killed_writers_leave_a_whole_file_200_times(bench):
    kill_rounds(bench, 200)


async def test_a_delete_behind_a_stopped_writer_voids_the_store(bench, world):
    store = bench.open(world)
    await store.mutate([Put("a", FRAME, None), Put("b", FRAME, None)])
    told, tell = os.pipe()

    def hold_the_write_lock() -> None:
        with contextlib.closing(sqlite3.connect(bench.path(), isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            os.write(tell, b"held")
            signal.pause()

    other_reader = bench.open(world)
    assert await other_reader.get("a") is not None
    with killed_at_the_end(pid := child(hold_the_write_lock)):
        assert wait_for(told) == b"held"
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(DeadlineExceeded):
            await store.mutate([Put("c", FRAME, None)])
        assert (await store.get("a"))[1:] == FRAME  # reading goes on
        assert bench.generation.reasons == []
        before = time.monotonic()
        changed = await store.mutate([Delete("a"), Put("c", FRAME, None)])
        assert time.monotonic() - before < 5  # far above the deadline of 0.1 s: that it ends is what is claimed here
        assert list(changed.done) == [True, False]
        assert len(bench.generation.reasons) == 1
        assert len(bench.heard(StoreVoided)) == 1
        for reader in (store, other_reader):
            assert await reader.get_many(["a", "b", "c"]) == [None, None, None]
        await store.mutate([Put("a", b"new", None)])  # the new file has no lock on it
        os.kill(pid, signal.SIGCONT)
        assert await other_reader.get("a") == b"\x00new"


@pytest.mark.parametrize(
    ("entries", "ledger"),
    [
        ([MarkStale("a")], []),
        ([], [BumpTags("acme", ("x",))]),
        ([], [BumpTags("acme", ("x",), soft=True)]),
        ([], [NewEpoch("acme")]),
    ],
)
def test_no_change_that_invalidates_is_lost(bench, entries, ledger):
    store = bench.open(deadline=0.01)
    drive(store.mutate([Put("a", FRAME, None)]))
    epoch = drive(store.ledger("acme", [])).epoch
    with contextlib.closing(sqlite3.connect(bench.path(), isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        drive(store.mutate(entries, ledger))
        assert drive(store.get("a")) is None
        assert drive(store.ledger("acme", [])).epoch != epoch


def test_what_only_tidies_up_voids_nothing(bench):
    store = bench.open(deadline=0.01)
    frame = bytes(56) + b"n" * 24
    drive(store.mutate([Put("a", frame, None)]))
    with contextlib.closing(sqlite3.connect(bench.path(), isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for call in (
            lambda: store.mutate([Delete("a", expect=b"n" * 24)]),
            lambda: store.lease("b", TOKEN, 1000, tenant="acme", bad=None, fields=[]),
            lambda: store.release("b", TOKEN),
        ):
            with pytest.raises(DeadlineExceeded):
                drive(call())
    assert bench.generation.reasons == []
    assert drive(store.get("a")) == b"\x00" + frame


def test_a_delete_that_can_neither_be_done_nor_voided_raises(bench):
    store = bench.open(deadline=0.01)
    bench.generation.broken = True
    with contextlib.closing(sqlite3.connect(bench.path(), isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(TierUnavailable, match="nor voided"):
            drive(store.mutate([Delete("a")]))


def test_a_child_takes_locks_of_its_own_after_a_fork(bench):
    """The trap: SQLite's table of locks is inherited, the kernel's locks are not."""
    store = bench.open()
    drive(store.mutate([Put("a", FRAME, None)]))
    inode = bench.path().stat().st_ino

    def look() -> None:
        assert drive(store.get("a"))[1:] == FRAME
        drive(store.mutate([Put("b", FRAME, None)]))
        locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
        assert any(line.split()[4] == str(os.getpid()) and line.split()[5].endswith(f":{inode}") for line in locks)

    assert ended(child(look)) == 0
    assert drive(store.get("b"))[1:] == FRAME
    assert bench.generation.reasons == []
    assert is_whole(bench.path())


def test_many_forks_while_threads_work(bench):
    store = bench.open()
    stop = threading.Event()
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            while not stop.is_set():
                drive(store.mutate([Put(f"k{number}", FRAME, None)]))
                assert drive(store.get(f"k{number}"))[1:] == FRAME
        except BaseException as error:  # noqa: BLE001  the test reports it
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(15):
            assert ended(child(lambda turn=turn: drive(store.mutate([Put(f"child{turn}", FRAME, None)])))) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
    assert failed == []
    assert bench.generation.reasons == []
    assert all(frame is not None for frame in drive(store.get_many([f"child{turn}" for turn in range(15)])))
    assert is_whole(bench.path())


def test_a_fork_out_of_a_running_call_leaves_the_file_to_the_parent(bench, monkeypatch):
    monkeypatch.setattr("caching_core.tiers.disk._pool.FORK_SECONDS", 0.01)
    store = bench.open()
    drive(store.mutate([Put("a", FRAME, None)]))

    def fork_inside(connection, _now) -> int:
        return ended(child(lambda: check_child(connection)))

    def check_child(_connection) -> None:
        assert drive(store.get("a")) is None
        assert len(bench.generation.reasons) == 1
        drive(store.mutate([Put("b", FRAME, None)]))

    assert drive(store._access.write(fork_inside)) == 0
    assert drive(store.get("b"))[1:] == FRAME  # the parent follows to the new generation


# A disk that is full, gone or read-only


def exercise_full_disk(store: DiskStore, bench, fill: Callable[[], None]) -> None:
    """Fill until a put is refused, then: reads go on, invalidations are kept, and the store comes back."""
    drive(store.mutate([Put("kept", FRAME, None), Put("doomed", FRAME, None)]))
    with pytest.raises(TierUnavailable):
        fill()
    assert drive(store.get("kept"))[1:] == FRAME
    reasons = len(bench.generation.reasons)
    number = 0
    while len(bench.generation.reasons) == reasons:  # until one does not fit
        changed = drive(store.mutate([Delete("doomed")], [BumpTags("acme", (f"a-rather-long-tag-{number}",))]))
        assert len(changed.done) == 1
        with contextlib.suppress(TierUnavailable):
            drive(store.get("doomed"))
        number += 1
        assert number < 20_000
    with contextlib.suppress(TierUnavailable):
        assert drive(store.get_many(["kept", "doomed"])) == [None, None]


def test_a_file_that_may_not_grow(bench):
    """RLIMIT_FSIZE: writing beyond it is an error of the system, for the log as for the file."""

    def limited() -> None:
        store = bench.open(max_bytes=256 << 20)
        drive(store.mutate([Put("warm", FRAME, None)]))
        limit = 4 << 20
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

        def fill() -> None:
            for number in range(100):
                drive(store.mutate([Put(f"fill{number}", bytes(100_000), None)]))

        exercise_full_disk(store, bench, fill)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        drive(store.mutate([Put("again", FRAME, None)]))
        assert drive(store.get("again"))[1:] == FRAME

    assert ended(child(limited)) == 0


def test_a_full_volume(tmp_path, bench):
    if os.geteuid() != 0:
        pytest.skip("root: a small volume can only be mounted by root")
    volume = bench.directory
    volume.mkdir(mode=0o700)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", volume], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mount: this machine does not allow it")
    try:
        store = bench.open()
        ballast = volume / "ballast"

        def fill() -> None:
            drive(store.mutate([Put("warm", FRAME, None)]))
            with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            for number in range(100):
                drive(store.mutate([Put(f"fill{number}", bytes(100_000), None)]))

        exercise_full_disk(store, bench, fill)
        ballast.unlink()
        drive(store.mutate([Put("again", FRAME, None)]))
        assert drive(store.get("again"))[1:] == FRAME
        bench.close()
        assert not bench.heard(StoreQuarantined)
    finally:
        subprocess.run(["umount", "-l", volume], check=True)


def test_a_directory_that_cannot_be_written_is_refused_at_once(make_bench):
    is_root = os.geteuid() == 0

    def refused(root: Path) -> None:
        if is_root:  # whom no mode stops
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        bench = make_bench(root)
        bench.directory.mkdir(mode=0o500)
        with pytest.raises(TierUnavailable, match="cannot be written"):
            bench.open()
        bench.directory.chmod(0o700)
        drive(bench.open().mutate([Put("a", FRAME, None)]))
        bench.close()

    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        if is_root:
            os.chown(name, NOBODY, NOBODY)
        assert ended(child(lambda: refused(Path(name)))) == 0


def test_no_descriptor_left(bench):
    """Calls end with TierUnavailable and nothing else, and go on when there are descriptors again."""

    def exhausted() -> None:
        store = bench.open()
        drive(store.mutate([Put("a", FRAME, None)]))
        store._access.pool.trim(0)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        held = []
        with contextlib.suppress(OSError):
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        for call in (
            lambda: store.get("a"),
            lambda: store.get_many(["a"]),
            lambda: store.mutate([Put("a", FRAME, None)]),
            store.usage,
        ):
            with pytest.raises(TierUnavailable):
                drive(call())
        drive(store.maintain())
        for descriptor in held:
            os.close(descriptor)
        assert drive(store.get("a"))[1:] == FRAME
        assert bench.generation.reasons == []

    assert ended(child(exhausted)) == 0


# Damaged files


def damage_header(path: Path, _draw: random.Random) -> None:
    with path.open("r+b") as file:
        file.write(os.urandom(100))


def damage_pages(path: Path, draw: random.Random) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        for page in range(1, size // 4096):
            file.seek(page * 4096 + draw.randrange(8))
            file.write(os.urandom(64))


def cut_file(path: Path, _draw: random.Random) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty_file(path: Path, _draw: random.Random) -> None:
    os.truncate(path, 0)


def other_database(path: Path, _draw: random.Random) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE somebody(elses)")
    path.chmod(0o600)


def other_format(path: Path, _draw: random.Random) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=99")


@pytest.mark.parametrize("damage", [other_format, damage_header, damage_pages, cut_file, empty_file, other_database])
def test_a_damaged_file_is_set_aside_and_the_store_works(bench, damage):
    store = bench.open()
    drive(store.mutate([Put(f"k{number}", FRAME, None) for number in range(400)]))
    drive(store.maintain())
    bench.close()
    damaged = bench.path()
    damage(damaged, random.Random(7))
    store = bench.open()
    for number in range(400):  # whatever is met first: a miss, or still a right value
        found = drive(store.get(f"k{number}"))
        assert found is None or len(found) == 1 + len(FRAME)
    drive(store.mutate([Put(f"k{number}", FRAME, None) for number in range(400)], [BumpTags("acme", ("t",))]))
    assert drive(store.get("k1"))[1:] == FRAME
    assert [event.kept_as for event in bench.heard(StoreQuarantined)] == [next(bench.directory.glob("*.corrupt-*"))]
    assert len(bench.heard(StoreVoided)) == 1
    assert is_whole(bench.path())
    assert not damaged.exists()


def test_a_file_damaged_under_an_open_store(bench):
    store = bench.open()
    drive(store.mutate([Put(f"k{number}", FRAME, None) for number in range(4000)]))
    drive(store.maintain())
    damage_pages(bench.path(), random.Random(7))
    bench.open().close()
    for number in range(4000):
        drive(store.get(f"k{number}"))
    drive(store.mutate([Delete("k1"), Put("k2", b"new", None)]))
    assert drive(store.get("k2")) == b"\x00new"
    assert len(bench.heard(StoreQuarantined)) == 1


def test_only_the_last_damaged_file_is_kept(bench):
    for _round in range(4):
        store = bench.open()
        bench.close()
        damage_header(bench.path(), random.Random(1))
    store = bench.open()
    assert drive(store.get("a")) is None
    (kept,) = bench.directory.glob("*.corrupt-*")
    assert kept == bench.heard(StoreQuarantined)[-1].kept_as


@pytest.mark.parametrize("how", ["cut", "torn", "gone"])
def test_a_log_that_lost_its_end(bench, how):
    def die_with_a_log() -> None:
        store = bench.open()
        for number in range(200):
            drive(store.mutate([Put(f"k{number}", FRAME, None)]))
        os.kill(os.getpid(), signal.SIGKILL)

    assert ended(child(die_with_a_log)) == -signal.SIGKILL
    log = Path(f"{bench.path()}-wal")
    size = log.stat().st_size
    assert size > 0
    if how == "cut":
        os.truncate(log, size // 2)
    elif how == "gone":
        log.unlink()
    else:
        with log.open("r+b") as file:
            file.seek(size // 2)
            file.write(os.urandom(5000))
    store = bench.open()
    for number in range(200):
        assert drive(store.get(f"k{number}")) in {None, b"\x00" + FRAME}
    drive(store.mutate([Put("new", FRAME, None)]))
    assert drive(store.get("new"))[1:] == FRAME
    assert is_whole(bench.path())


def test_a_log_cut_under_an_open_store(bench):
    store = bench.open()
    for number in range(200):
        drive(store.mutate([Put(f"k{number}", FRAME, None)]))
    os.truncate(f"{bench.path()}-wal", 200_000)
    other = bench.open()
    for number in range(200):
        assert drive(other.get(f"k{number}")) in {None, b"\x00" + FRAME}
    assert len(bench.heard(StoreQuarantined)) == 1
    drive(store.mutate([Put("new", FRAME, None)]))
    assert drive(other.get("new"))[1:] == FRAME


def test_a_cancelled_wait_leaves_nothing_locked(bench):
    async def scenario() -> None:
        store = bench.open("loop", deadline=30.0)
        with contextlib.closing(sqlite3.connect(bench.path(), isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            task = asyncio.create_task(store.mutate([Put("a", FRAME, None)]))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert list((await store.mutate([Put("a", FRAME, None)])).done) == [True]

    asyncio.run(scenario())


def test_a_starved_caller_still_gets_its_attempts(bench):
    """The clock says that all time is gone at the first look, as after a pause of the whole process; the lock is free soon after."""
    store = bench.open(deadline=0.1)
    with contextlib.closing(sqlite3.connect(bench.path(), isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")

        class Starved:
            looks = 0

            def now(self) -> float:
                self.looks += 1
                return 1000.0 * self.looks

            async def sleep(self, _seconds: float) -> None:
                if self.looks == 4 and connection.in_transaction:
                    connection.execute("ROLLBACK")

        store._access._runtime = Starved()
        assert list(drive(store.mutate([Put("a", FRAME, None)])).done) == [True]
    assert bench.generation.reasons == []
