"""What the disk tier does when the disk is full, read-only or out of descriptors, and when files are damaged."""

import contextlib
import os
import random
import resource
import signal
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from caching_core.errors import TierUnavailable
from caching_core.runtime._run import run_sync as drive
from caching_core.tiers._protocol import BumpTags, Delete, Put
from caching_core.tiers.disk import DiskStore, StoreQuarantined, StoreVoided

FRAME = bytes(range(256)) * 4
TOKEN = b"t" * 16
NOBODY = 65534


def is_whole(path: Path) -> bool:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


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


def test_a_file_that_may_not_grow(bench, child, ended):
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


def test_a_directory_that_cannot_be_written_is_refused_at_once(make_bench, child, ended):
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


def test_no_descriptor_left(bench, child, ended):
    """Calls end with TierUnavailable and nothing else, and go on when there are descriptors again."""

    def exhausted() -> None:
        store = bench.open()
        drive(store.mutate([Put("a", FRAME, None)]))
        store._access.pool.trim(0)
        limit = max(map(int, os.listdir("/proc/self/fd"))) + 16  # noqa: PTH208  names are numbers here, not paths
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
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
def test_a_log_that_lost_its_end(bench, how, child, ended):
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
