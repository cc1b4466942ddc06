"""A cold key that everybody wants at once: one load, the same value for all, errors for those who waited."""

import sqlite3

import pytest

THREADS = """
manager = SyncCacheManager({"directory": str(DIRECTORY)}).start()
cache = manager.tenant("acme")
lined_up = threading.Barrier(ARGUMENTS["threads"] + 1)
results = []

def load():
    with open(DIRECTORY.parent / "loads", "ab", buffering=0) as file:
        file.write(b"x")
    time.sleep(ARGUMENTS["seconds"])
    return {"loaded by": os.getpid(), "parts": list(range(20))}

def call():
    lined_up.wait()
    try:
        results.append(cache.get_or_set("cold", load, ttl=600))
    except Exception as error:
        results.append(f"{type(error).__name__}: {error}")

threads = [threading.Thread(target=call) for _ in range(ARGUMENTS["threads"])]
for thread in threads:
    thread.start()
say("ready")
hear()
lined_up.wait()
for thread in threads:
    thread.join()
say(results)
manager.close()
"""

TASKS = """
import asyncio

async def main():
    async with CacheManager({"directory": str(DIRECTORY)}) as manager:
        cache = manager.tenant("acme")

        async def load():
            with open(DIRECTORY.parent / "loads", "ab", buffering=0) as file:
                file.write(b"x")
            await asyncio.sleep(ARGUMENTS["seconds"])
            return {"loaded by": os.getpid(), "parts": list(range(20))}

        say("ready")
        await asyncio.to_thread(hear)
        calls = [cache.get_or_set("cold", load, ttl=600) for _ in range(ARGUMENTS["threads"])]
        say([found if isinstance(found, dict) else repr(found) for found in await asyncio.gather(*calls, return_exceptions=True)])

asyncio.run(main())
"""


def crowd(peer, directory, scripts, threads):
    """Let one process per script ask for the cold key; return all answers and the number of loads."""
    peers = [peer(script, threads=threads, seconds=0.2) for script in scripts]
    for each in peers:
        assert each.hear() == "ready"
    for each in peers:
        each.say()
    answers = [answer for each in peers for answer in each.hear()]
    for each in peers:
        each.end()
    return answers, (directory.parent / "loads").stat().st_size


@pytest.mark.parametrize(
    "scripts",
    [[THREADS] * 4, [TASKS] * 4, [THREADS, TASKS] * 2],
    ids=["threads", "tasks", "both"],
)
def test_one_load_for_all(peer, directory, scripts):
    answers, loads = crowd(peer, directory, scripts, 20)
    assert len(answers) == 80
    assert all(answer == answers[0] and isinstance(answer, dict) for answer in answers), answers
    assert loads == 1


@pytest.mark.slow
@pytest.mark.parametrize("scripts", [[THREADS] * 8, [TASKS] * 8], ids=["threads", "tasks"])
def test_one_load_for_four_hundred(peer, directory, scripts):
    answers, loads = crowd(peer, directory, scripts, 50)
    assert len(answers) == 400
    assert all(answer == answers[0] and isinstance(answer, dict) for answer in answers), answers
    assert loads == 1


FAILING = """
from caching_core.engine._flight import Flight

class Broken(Exception):
    pass

waiting, wait = threading.Semaphore(0), Flight.wait

def counted(self, *given, **options):
    waiting.release()
    return wait(self, *given, **options)

Flight.wait = counted

manager = SyncCacheManager({"directory": str(DIRECTORY)}).start()
cache = manager.tenant("acme")
others = ARGUMENTS["threads"] - 1
loads, results = [], []

def load():
    loads.append(1)
    if len(loads) > 1:
        return "at last"
    for _ in range(others):
        waiting.acquire(timeout=60)
    raise Broken("the database is away")

def call():
    try:
        results.append(cache.get_or_set("cold", load))
    except Broken as error:
        results.append(str(error))

threads = [threading.Thread(target=call) for _ in range(ARGUMENTS["threads"])]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
say([results, len(loads)])
say([cache.get_or_set("cold", load), len(loads)])
manager.close()
"""


@pytest.mark.parametrize("levels", [1, 2])
def test_an_error_goes_to_all_who_waited_and_the_next_call_loads_again(peer, levels):
    script = FAILING.replace('"directory"', f'"cache_levels": {levels}, "directory"')
    failing = peer(script, threads=12)
    results, loads = failing.hear()
    assert results == ["the database is away"] * 12
    assert loads == 1
    assert failing.hear() == ["at last", 2]
    failing.end()


CANCELLED = """
import asyncio

async def main():
    async with CacheManager({"directory": str(DIRECTORY)}) as manager:
        cache = manager.tenant("acme")
        loading, go_on, loads = asyncio.Event(), asyncio.Event(), []

        async def load():
            loads.append(1)
            loading.set()
            await go_on.wait()
            return len(loads)

        leader = asyncio.create_task(cache.get_or_set("cold", load))
        await loading.wait()
        followers = [asyncio.create_task(cache.get_or_set("cold", load)) for _ in range(5)]
        while (await manager.stats()).joined < 5:
            await asyncio.sleep(0)
        leader.cancel()
        go_on.set()
        found = await asyncio.gather(leader, *followers, return_exceptions=True)
        say([type(found[0]).__name__, found[1:]])

asyncio.run(main())
"""


def test_a_cancelled_leader_does_not_cancel_its_followers(peer):
    cancelled = peer(CANCELLED)
    kind, followers = cancelled.hear()
    assert kind == "CancelledError"
    assert len(set(followers)) == 1
    assert isinstance(followers[0], int)
    cancelled.end()


DYING = """
manager = SyncCacheManager({"directory": str(DIRECTORY), "default_ttl": 600}).start()
manager.tenant("acme").get_or_set("cold", lambda: say("loading") or time.sleep(600))
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_loader_that_is_killed_holds_the_others_up_for_its_lease_only(peer, manager):
    dying = peer(DYING)
    assert dying.hear() == "loading"
    dying.process.kill()
    assert manager().tenant("acme").get_or_set("cold", lambda: "loaded") == "loaded"


def test_a_lease_that_could_not_be_given_back_in_time_does_not_stop_others(manager, store_file, eventually):
    """The file is locked while a load ends: neither the value nor the end of its lease is written then."""
    cache = manager().tenant("acme")
    cache.set("another", 1)
    other = sqlite3.connect(store_file(), isolation_level=None)

    def load():
        other.execute("BEGIN IMMEDIATE")
        return 1

    assert cache.get_or_set("k", load, ttl=60) == 1
    assert other.execute("SELECT count(*) FROM leases").fetchone() == (1,)
    other.execute("ROLLBACK")
    eventually(lambda: other.execute("SELECT count(*) FROM leases").fetchone() == (0,))
    other.close()
