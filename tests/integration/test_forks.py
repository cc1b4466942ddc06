"""Forks after use: children read and write, nothing is stale, no nonce twice, no shared connection, a clean end."""

import sqlite3
from collections import defaultdict

import pytest

FAMILY = """
import atexit, random, traceback

# So patient that a busy file is waited for: a store that is given up under load loses what the family looks for.
manager = SyncCacheManager({"directory": str(DIRECTORY), "cache_levels": ARGUMENTS["levels"], "l2": {"deadline": 30}}).start()
cache = manager.tenant("acme")
stop = threading.Event()
failures = []

def hammer(number):
    draw = random.Random(number)
    at = 0
    while not stop.is_set():
        at += 1
        key = f"busy:{draw.randrange(50)}"
        try:
            if at % 5 == 0:
                cache.set(key, {"by": number})
            elif at % 7 == 0:
                cache.invalidate_tags("t")
            elif at % 11 == 0:
                cache.get_or_set(key, lambda: {"by": number}, tags=["t"])
            else:
                cache.get(key)
        except Exception:
            failures.append(traceback.format_exc())

def open_stores():
    return [target for target in (os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if fd.isdigit() and
        os.path.lexists(f"/proc/self/fd/{fd}")) if "/cache-" in target]

def child(generation, number):
    assert not open_stores(), open_stores()
    mine = f"{generation}.{number}.{os.getpid()}"
    for at in range(5):
        cache.set(f"from:{mine}:{at}", at)
    if ARGUMENTS["levels"] > 1:
        assert cache.get("from the parent") == number, cache.get("from the parent")
    assert cache.get_or_set(f"loaded:{mine}", lambda: mine) == mine
    if generation < 3:
        spawn(generation + 1, number)
        assert cache.get("held by the parent") is None
    cache.set("to the parent", mine)
    cache.delete("held by the parent")

def spawn(generation, number):
    cache.set("held by the parent", [number])
    assert cache.get("held by the parent") == [number]
    cache.set("from the parent", number)
    pid = os.fork()
    if pid == 0:
        try:
            child(generation, number)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        if ARGUMENTS["exit"] == "clean":  # as sys.exit would, were we not inside the parent's frames
            atexit._run_exitfuncs()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert status == 0, (generation, number, status)
    assert cache.get("held by the parent") is None
    if ARGUMENTS["levels"] > 1:
        assert cache.get("to the parent").startswith(f"{generation}.{number}."), cache.get("to the parent")

threads = [threading.Thread(target=hammer, args=(number,), daemon=True) for number in range(ARGUMENTS["threads"])]
for thread in threads:
    thread.start()
for number in range(ARGUMENTS["forks"]):
    spawn(1, number)
stop.set()
for thread in threads:
    thread.join()
say(failures)
manager.close()
"""


@pytest.fixture
def prefixes(store_file):
    """Return nonce prefix -> the processes that sealed under it, from the names of the rows."""

    def collect():
        connection = sqlite3.connect(store_file())
        try:
            found, nonces = defaultdict(set), []
            for name, frame in connection.execute("SELECT name, frame FROM entries WHERE name LIKE '%:from:%'"):
                _, who, _ = name.rsplit(":", 2)
                found[frame[57:69]].add(who)
                nonces.append(frame[57:81])
            assert len(set(nonces)) == len(nonces)
            return found
        finally:
            connection.close()

    return collect


@pytest.mark.parametrize("ending", ["clean", "abrupt"])
def test_three_generations_beside_live_threads(peer, prefixes, ending):
    family = peer(FAMILY, levels=2, forks=8, threads=3, exit=ending)
    assert family.hear() == []
    family.end()
    found = prefixes()
    assert len(found) == 8 * 3
    assert all(len(who) == 1 for who in found.values())


def test_three_generations_with_memory_alone(peer):
    family = peer(FAMILY, levels=1, forks=5, threads=2, exit="clean")
    assert family.hear() == []
    family.end()


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.timeout(1200)
def test_two_hundred_forks_beside_live_threads(peer, prefixes):
    family = peer(FAMILY, levels=2, forks=200, threads=6, exit="abrupt")
    assert family.hear() == []
    family.end()
    assert all(len(who) == 1 for who in prefixes().values())


POOL = """
import multiprocessing

def work(number):
    cache = SyncCacheManager({"directory": str(DIRECTORY)}).tenant("acme")
    cache.set(f"from:{os.getpid()}:{number}", number)
    return [cache.get("parents"), os.getpid()]

manager = SyncCacheManager({"directory": str(DIRECTORY)}).start()
cache = manager.tenant("acme")
cache.set("parents", "seen")
cache.get("parents")
with multiprocessing.get_context("fork").Pool(3) as pool:
    answers = pool.map(work, range(60), chunksize=1)
say([sorted({value for value, _ in answers}), len({pid for _, pid in answers}) >= 1])
say(cache.get_many([f"from:{pid}:{number}" for number, (_, pid) in enumerate(answers)]) ==
    {f"from:{pid}:{number}": number for number, (_, pid) in enumerate(answers)})
manager.close()
"""


def test_a_multiprocessing_pool(peer, prefixes):
    pool = peer(POOL)
    assert pool.hear() == [["seen"], True]
    assert pool.hear() is True
    pool.end()
    assert all(len(who) == 1 for who in prefixes().values())


BOTH_WAYS = """
manager = SyncCacheManager({"directory": str(DIRECTORY), "cache_levels": ARGUMENTS["levels"]}).start()
cache = manager.tenant("acme")
to_child, from_child = os.pipe(), os.pipe()

def wait(pipe):
    assert os.read(pipe[0], 1) == b"x"

def tell(pipe):
    os.write(pipe[1], b"x")

for number in range(50):
    cache.set(f"a{number}", "old", tags=["t"])
    cache.set(f"b{number}", "old", tags=["t"])
    cache.get_many([f"a{number}", f"b{number}"])
pid = os.fork()
if pid == 0:
    for number in range(50):
        wait(to_child)
        assert cache.get(f"a{number}") is None, number
        cache.delete(f"b{number}")
        tell(from_child)
    wait(to_child)
    assert cache.get("tagged") is None
    cache.clear()
    tell(from_child)
    sys.exit(0)
for number in range(50):
    cache.delete(f"a{number}")
    tell(to_child)
    wait(from_child)
    assert cache.get(f"b{number}") is None, number
cache.set("tagged", 1, tags=["t"])
cache.invalidate_tags("t")
cache.set("kept", 1)
assert cache.get("kept") == 1
tell(to_child)
wait(from_child)
assert cache.get("kept") is None
say(os.waitpid(pid, 0)[1])
manager.close()
"""


@pytest.mark.parametrize("levels", [1, 2])
def test_parent_and_child_hear_each_other(peer, levels):
    both = peer(BOTH_WAYS, levels=levels)
    assert both.hear() == 0
    both.end()


LOOPS = """
import asyncio

async def use(manager, number):
    cache = manager.tenant("acme")
    await cache.set(f"k{number}", number)
    assert await cache.get_or_set(f"l{number}", lambda: number) == number
    return await cache.get(f"k{number}")

manager = CacheManager({"directory": str(DIRECTORY)})
answers = [asyncio.run(use(manager, number)) for number in range(3)]
pid = os.fork()
if pid == 0:
    assert asyncio.run(use(manager, 7)) == 7
    os._exit(0)
answers.append(os.waitpid(pid, 0)[1])
answers.append(asyncio.run(use(manager, 8)))
results = []
threads = [threading.Thread(target=lambda n=n: results.append(asyncio.run(use(manager, n)))) for n in range(20, 24)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
say([answers, sorted(results)])
asyncio.run(manager.close())
"""


def test_many_loops_one_after_another_beside_each_other_and_after_a_fork(peer):
    loops = peer(LOOPS)
    assert loops.hear() == [[0, 1, 2, 0, 8], [20, 21, 22, 23]]
    loops.end()
