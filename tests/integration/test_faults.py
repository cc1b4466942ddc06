"""Broken on purpose, through the public API: reads never raise, what was acknowledged stays invalidated, and it works again after."""

import os
import secrets
import shutil
import sqlite3
import subprocess

import pytest

ANSWERING = """
import logging, resource, subprocess, traceback
logging.disable(logging.CRITICAL)
manager = None
say("ready")
while (asked := hear()):
    verb, *arguments = asked
    options = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
    try:
        if verb == "open":
            manager = SyncCacheManager({"directory": str(DIRECTORY), **options}).start()
            cache, answer = manager.tenant("acme"), None
        elif verb == "load":
            answer = cache.get_or_set(arguments[0], lambda: arguments[1])
        elif verb == "limit files to":
            resource.setrlimit(resource.RLIMIT_FSIZE, (arguments[0], resource.RLIM_INFINITY))
            answer = None
        elif verb == "become nobody":
            os.setgroups([]); os.setegid(65534); os.seteuid(65534)
            answer = None
        elif verb == "ballast":
            answer = 0
            with open(DIRECTORY / "ballast", "ab", buffering=0) as file:
                try:
                    while True:
                        answer += file.write(bytes(4096))
                except OSError:
                    pass
        elif verb == "free":
            (DIRECTORY / "ballast").unlink()
            answer = None
        elif verb == "stats":
            answer = getattr(manager.stats(), arguments[0])
        else:
            answer = getattr(cache, verb)(*arguments, **options)
        say(["ok", answer.count if isinstance(answer, Invalidated) else answer])
    except Exception as error:
        say([type(error).__name__, traceback.format_exc()])
if manager is not None:
    manager.close()
"""


class Client:
    """A peer's cache; ``call`` expects an answer, ``try_`` gives the error's name in its place."""

    def __init__(self, started):
        self.peer = started
        assert started.hear() == "ready"

    def try_(self, *asked):
        kind, answer = self.peer.ask(list(asked))
        return answer if kind == "ok" else kind

    def call(self, *asked):
        kind, answer = self.peer.ask(list(asked))
        assert kind == "ok", answer
        return answer

    def end(self):
        self.peer.say(None)
        self.peer.end()


@pytest.fixture
def client(peer):
    def start(**settings):
        made = Client(peer(ANSWERING))
        made.call("open", settings)
        return made

    return start


@pytest.fixture
def two(client):
    """Two processes that hold the same 20 values in memory."""
    one, other = client(), client()
    for number in range(20):
        one.call("set", f"k{number}", number, {"tags": ["t"]})
        assert one.call("get", f"k{number}") == number
        assert other.call("get", f"k{number}") == number
    return one, other


def works(one, other, round_number):
    """Write here, read there, and back; True if each invalidation is heard and each value found."""
    key = f"round:{round_number}"
    for writer, reader in ((one, other), (other, one)):
        value = secrets.token_hex(4)
        if writer.try_("set", key, value) is not True or reader.try_("get", key) != value:
            return False
        writer.call("delete", key)
        if reader.try_("get", key) is not None:
            return False
    return True


def must_work_again(eventually, one, other, rounds=15):
    count = iter(range(10**9))
    eventually(lambda: all(works(one, other, next(count)) for _ in range(3)))
    for _ in range(rounds):
        assert works(one, other, next(count))
    one.end()
    other.end()


def nothing_stale(one, other, *, lost=()):
    """Each invalidation that is acknowledged now is heard by the other at once; reads do not raise."""
    for number, verb in enumerate(("delete", "invalidate_tags", "clear")):
        key = f"k{number}"
        if verb == "delete":
            answer = one.try_("delete", key)
        elif verb == "invalidate_tags":
            answer = one.try_("invalidate_tags", "t")
        else:
            answer = one.try_("clear")
        assert isinstance(answer, int), f"{verb} was not acknowledged: {answer}"
        for reader in (one, other):
            assert reader.call("get", key) is None, verb
            assert reader.call("get_many", [key]) == {}, verb
        for reader in (one, other):
            assert reader.call("load", key, f"new {number}") == f"new {number}"


# -- R32, R33: no space ----------------------------------------------------------------------------


@pytest.fixture
def small_disk(directory, monkeypatch):
    """Put the cache's directory of each peer on a volume of 16 MiB, in a mount namespace of its own."""
    probe = ["unshare", "-m", "sh", "-c", f"mkdir -p {directory} && mount -t tmpfs -o size=1m tmpfs {directory}"]
    if os.geteuid() != 0 or shutil.which("unshare") is None or subprocess.run(probe, check=False, capture_output=True).returncode != 0:
        pytest.skip("root: a mount namespace is needed")
    monkeypatch.setenv("MOUNTED", "1")


MOUNTING = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x20000) == 0
assert subprocess.run(["mount", "--make-rprivate", "/"], check=False).returncode == 0
DIRECTORY.mkdir(parents=True, exist_ok=True)
assert subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs", str(DIRECTORY)], check=False).returncode == 0
"""


def test_a_full_disk(small_disk, peer):
    alone = Client(peer(ANSWERING.replace("manager = None\n", MOUNTING + "manager = None\n", 1)))
    alone.call("open")
    for number in range(30):
        alone.call("set", f"k{number}", "x" * 1000, {"tags": ["t"]})
        alone.call("get", f"k{number}")
    assert alone.call("ballast") > 1_000_000
    for number in range(200):  # no set raises, no get raises
        assert alone.call("set", f"big{number}", secrets.token_hex(30_000)) in (True, False)
        alone.call("get", f"big{number}")
        assert alone.call("load", f"loaded{number}", number) == number
    nothing_stale(alone, alone)
    assert alone.call("delete", "k5") in (0, 1)
    assert alone.call("get", "k5") is None
    alone.call("free")
    alone.call("set", "after", "again")
    assert alone.call("get", "after") == "again"
    assert alone.call("load", "loaded after", 1) == 1
    alone.end()


def test_files_may_not_grow(two):
    """R33 by RLIMIT_FSIZE: one process can write no further, the other can."""
    one, other = two
    one.call("limit files to", 4096)
    for number in range(50):
        assert one.call("set", f"big{number}", secrets.token_hex(20_000)) in (True, False)
        one.call("get", f"big{number}")
        assert one.call("load", f"l{number}", number) == number
    nothing_stale(one, other)
    one.end()
    other.end()


# -- R33: not writable -----------------------------------------------------------------------------


def test_a_directory_that_cannot_be_written_means_memory_only(peer, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("root: needed to become somebody else")
    alone = Client(peer(ANSWERING.replace("manager = None\n", "DIRECTORY = DIRECTORY.parent / 'locked'\nmanager = None\n", 1)))
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    os.chown(locked, 65534, 65534)
    alone.call("open", {"directory": str(tmp_path / "cache of root")})  # all modules are loaded before it is nobody
    alone.call("set", "k", 1)
    alone.call("become nobody")
    alone.call("open")
    assert alone.call("set", "k", "in memory") is True
    assert alone.call("get", "k") == "in memory"
    assert alone.call("load", "l", 2) == 2
    assert alone.call("delete", "k") == 1
    assert alone.call("get", "k") is None
    assert list(locked.iterdir()) == []
    alone.peer.kill()


# -- R34: damaged files ----------------------------------------------------------------------------

DAMAGE = {
    "header": lambda size: (0, secrets.token_bytes(100)),
    "first pages": lambda size: (0, secrets.token_bytes(16384)),
    "all": lambda size: (0, secrets.token_bytes(size)),
    "zeros": lambda size: (0, bytes(size)),
    "behind the header": lambda size: (100, secrets.token_bytes(size - 100)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_set_aside(two, store_file, directory, damage, eventually):
    one, other = two
    path = store_file()
    at, data = DAMAGE[damage](path.stat().st_size)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)
    for reader in two:
        for number in range(20):
            assert reader.call("get", f"k{number}") in (number, None)
            assert reader.call("get", f"never{number}") is None
            assert reader.call("get_many", [f"k{number}", "never"]) in ({f"k{number}": number}, {})
    nothing_stale(one, other)
    must_work_again(eventually, one, other)
    assert len([path for path in directory.glob("cache-*.db") if path.suffix == ".db"]) == 1


@pytest.mark.parametrize("length", [0, 1000, 8192])
def test_a_file_that_was_cut_short(two, store_file, length, eventually):
    one, other = two
    os.truncate(store_file(), length)
    for reader in two:
        for number in range(20):
            assert reader.call("get", f"k{number}") in (number, None)
            assert reader.call("get", f"never{number}") is None
    nothing_stale(one, other)
    must_work_again(eventually, one, other)


def test_a_damaged_log(two, store_file, eventually):
    one, other = two
    log = store_file().with_name(store_file().name + "-wal")
    with log.open("r+b") as file:
        file.write(secrets.token_bytes(max(log.stat().st_size, 4096)))
    for reader in two:
        for number in range(20):
            assert reader.call("get", f"k{number}") in (number, None)
    nothing_stale(one, other)
    must_work_again(eventually, one, other)


def test_a_damaged_file_before_the_start(client, directory, eventually):
    first = client()
    first.call("set", "k", 1)
    first.end()
    (path,) = directory.glob("cache-*.db")
    path.write_bytes(secrets.token_bytes(20_000))
    one, other = client(), client()
    assert one.call("get", "k") is None
    must_work_again(eventually, one, other)
    assert any(".corrupt-" in path.name for path in directory.iterdir())


# -- files that go -----------------------------------------------------------------------------------


def test_the_store_deleted_under_us(two, directory, eventually):
    one, other = two
    for path in directory.glob("cache-*"):
        path.unlink()
    for reader in two:
        for number in range(20):
            assert reader.call("get", f"k{number}") in (number, None)
    must_work_again(eventually, one, other)


@pytest.mark.parametrize("how", ["deleted", "replaced by garbage", "replaced by a copy"])
def test_the_stamps_deleted_or_replaced(two, directory, eventually, how):
    """The host is split for at most the second until each process looks; then it is whole, and nothing old is left."""
    one, other = two
    stamps = directory / "stamps"
    if how == "deleted":
        stamps.unlink()
    else:
        draft = directory / "draft"
        draft.write_bytes(secrets.token_bytes(stamps.stat().st_size) if how == "replaced by garbage" else stamps.read_bytes())
        draft.chmod(0o600)
        draft.rename(stamps)
    for reader in two:
        for number in range(20):
            assert reader.call("get", f"k{number}") in (number, None)
    must_work_again(eventually, one, other)


def test_a_third_process_after_the_stamps_are_gone(two, client, directory, eventually):
    one, other = two
    (directory / "stamps").unlink()
    third = client()
    count = iter(range(10**9))
    eventually(lambda: all([works(third, one, next(count)), works(third, other, next(count)), works(one, other, next(count))]))
    for number in range(20):
        assert one.call("get", f"k{number}") is None  # of the old table and store
    third.end()
    must_work_again(eventually, one, other)


def test_the_directory_is_gone(two, directory):
    one, other = two
    shutil.rmtree(directory)
    for reader in two:
        for number in range(20):
            assert reader.call("get", f"k{number}") in (number, None)
        assert reader.call("load", "l", 1) == 1
    one.peer.kill()
    other.peer.kill()


def test_a_process_that_holds_the_write_lock(two, store_file, eventually):
    """As a stopped process would: whoever invalidates voids the store instead of waiting for it."""
    one, other = two
    holder = sqlite3.connect(store_file(), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    holder.execute("UPDATE entries SET used = 1")
    try:
        assert other.call("get", "k3") == 3
        nothing_stale(one, other)
        assert one.call("set", "k7", "new") in (True, False)
        assert other.call("get", "k7") in ("new", None)
    finally:
        holder.close()
    must_work_again(eventually, one, other)


# -- memory ------------------------------------------------------------------------------------------

REPLAYING = """
import random
manager = SyncCacheManager({"directory": str(DIRECTORY), "l1_max_size": 2000, "disk_max_bytes": 32 * 2**20}).start()
caches = [manager.tenant(f"t{number}") for number in range(3)]
draw = random.Random(1)

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def replay(operations):
    for at in range(operations):
        key = int(50_000 * draw.random() ** 3)
        cache = caches[key % 3]
        chance = draw.random()
        if chance < 0.9:
            cache.get_or_set(f"k{key}", lambda: {"n": key, "text": "x" * (key % 700)}, ttl=60, tags=[f"t{key % 500}"])
        elif chance < 0.95:
            cache.delete(f"k{key}")
        elif chance < 0.97:
            cache.invalidate_tags(f"t{at}")
        else:
            cache.set(f"k{key}", key)

for round in range(ARGUMENTS["rounds"]):
    replay(ARGUMENTS["operations"])
    say(resident())
say(sum(path.stat().st_size for path in DIRECTORY.glob("cache-*")))
manager.close()
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_memory_and_disk_stay_flat_over_a_long_replay(peer, record_property):
    replaying = peer(REPLAYING, rounds=8, operations=100_000)
    sizes = [replaying.hear() for _ in range(8)]
    record_property("resident", sizes)
    assert max(sizes[4:]) - sizes[3] < 8 * 2**20, sizes
    assert replaying.hear() < 48 * 2**20
    replaying.end()
