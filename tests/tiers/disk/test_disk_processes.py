"""What the disk tier does when processes die, stop, fork or starve."""

import asyncio
import contextlib
import os
import random
import select
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from caching_core.errors import DeadlineExceeded, TierUnavailable
from caching_core.runtime._run import run_sync as drive
from caching_core.tiers._protocol import BumpTags, Delete, MarkStale, NewEpoch, Put
from caching_core.tiers.disk import StoreQuarantined, StoreVoided

FRAME = bytes(range(256)) * 4
TOKEN = b"t" * 16
NOBODY = 65534


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


def kill_rounds(bench, child, ended, rounds: int) -> None:
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


def test_killed_writers_leave_a_whole_file(bench, child, ended):
    kill_rounds(bench, child, ended, 20)


@pytest.mark.slow
def test_killed_writers_leave_a_whole_file_200_times(bench, child, ended):
    kill_rounds(bench, child, ended, 200)


async def test_a_delete_behind_a_stopped_writer_voids_the_store(bench, world, child):
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


def test_a_child_takes_locks_of_its_own_after_a_fork(bench, child, ended):
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


def test_many_forks_while_threads_work(bench, child, ended):
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


def test_a_fork_out_of_a_running_call_leaves_the_file_to_the_parent(bench, monkeypatch, child, ended):
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
