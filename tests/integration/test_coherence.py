"""Many processes on one directory: nothing stale, whatever they do, and also when they are killed."""

import random
import sqlite3
from pathlib import Path

import pytest

from caching_core.testing.history import Plan, Run, run


@pytest.fixture
def integrity(tmp_path):
    """Check that the store's file is whole and that nothing was set aside as damaged."""

    def check():
        found = list((tmp_path / "cache").glob("cache-*"))
        assert not [path for path in found if ".corrupt-" in path.name]
        (path,) = [path for path in found if path.suffix == ".db"]
        connection = sqlite3.connect(path)
        try:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        finally:
            connection.close()

    return check


def test_four_processes_read_nothing_stale(tmp_path, integrity):
    report = run(Plan(str(tmp_path), seed=2))
    assert report.is_clean, report.as_text()
    assert report.run["worker_errors"] == []
    assert report.reads > 40_000
    assert report.writes > 4_000
    integrity()


@pytest.mark.parametrize(
    "config", [{"l1_enabled": False}, {"security_enabled": False, "l1_max_size": 1}, {"key_privacy": "hashed"}], ids=str
)
def test_nor_with_other_settings(tmp_path, config):
    report = run(Plan(str(tmp_path), operations=8_000, config=config))
    assert report.is_clean, report.as_text()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_eight_processes_and_a_million_operations(tmp_path, integrity):
    report = run(Plan(str(tmp_path), processes=8, operations=1_000_000, keys=5_000))
    assert report.is_clean, report.as_text()
    assert report.run["worker_errors"] == []
    integrity()


def kill_at_random_points(tmp_path, rounds, *, processes, eventually):
    """Kill a worker of a run again and again, each time after some more of its records; return the report."""
    chance = random.Random(rounds)
    # More operations than the rounds take: who is killed never got to the end of them.
    with Run(Plan(str(tmp_path), processes=processes, operations=4_000 * processes, keys=200, seed=rounds)) as running:
        running.start()
        for _ in range(rounds):
            victim, more = chance.randrange(processes), chance.randrange(20, 400)
            running.replace(victim)
            newest = max(tmp_path.glob(f"history-{victim:04d}-*.bin"), key=lambda path: path.stat().st_ctime_ns)
            eventually(lambda path=newest, more=more: recorded(path) >= more, timeout=60)
        return running.finish()


def recorded(path: Path) -> int:
    """Count the records that a living process has written so far."""
    body = memoryview(path.read_bytes())[4096:]
    return sum(1 for at in range(39, min(len(body), 40 * 500), 40) if body[at])


def test_kill_9_at_random_points(tmp_path, integrity, eventually):
    report = kill_at_random_points(tmp_path, 20, processes=3, eventually=eventually)
    assert report.is_clean, report.as_text()
    integrity()


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_kill_9_two_hundred_times(tmp_path, integrity, eventually):
    report = kill_at_random_points(tmp_path, 200, processes=4, eventually=eventually)
    assert report.is_clean, report.as_text()
    integrity()


READER = """
from caching_core.types import *
manager = SyncCacheManager({"directory": str(DIRECTORY)}).start()
cache = manager.tenant("acme")
import random
keys = [f"mine:{i}" for i in range(ARGUMENTS["keys"])]
cache.set_many({key: {"n": i} for i, key in enumerate(keys)}, ttl=3600)
for key in keys:
    cache.get(key)
draw = random.Random(1).random
say("ready")
while (reads := hear()):
    before = manager.stats()
    for _ in range(reads):
        cache.get(keys[int(len(keys) * draw() ** 2)])
    after = manager.stats()
    say([after.hits_l1 - before.hits_l1, after.misses - before.misses])
manager.close()
"""
WRITER = """
manager = SyncCacheManager({"directory": str(DIRECTORY)}).start()
cache = manager.tenant("acme")
say("ready")
at = 0
while (sets := hear()):
    began = time.monotonic()
    for _ in range(sets):
        cache.set(f"other:{at % 20000}", at)
        at += 1
    say(time.monotonic() - began)
manager.close()
"""


def test_ten_thousand_sets_of_other_keys_cost_a_reader_less_than_a_point(peer, record_property):
    """Paced by count: 10,000 sets beside 20,000 reads, which is 10 k/s beside the reads of a slow reader."""
    rounds, reads, sets = 20, 1_000, 500
    reader, writer = peer(READER, keys=2_000), peer(WRITER)
    assert reader.hear() == writer.hear() == "ready"
    alone = [reader.ask(reads) for _ in range(rounds)]
    beside, seconds = [], 0.0
    for _ in range(rounds):
        writer.say(sets)
        reader.say(reads)
        beside.append(reader.hear())
        seconds += writer.hear()
    record_property("sets_per_second", round(rounds * sets / seconds))
    for each in (reader, writer):
        each.say(0)
        each.end()
    ratio_alone, ratio_beside = (100 * sum(hits for hits, _ in found) / (rounds * reads) for found in (alone, beside))
    record_property("hit_ratios", [ratio_alone, ratio_beside])
    assert ratio_alone > 99.9
    assert ratio_alone - ratio_beside < 1.0
    assert sum(misses for _, misses in beside) == 0  # what L1 lost, the disk has


VISIBLE = """
manager = SyncCacheManager({"directory": str(DIRECTORY)}).start()
cache = manager.tenant("acme", namespace="space")
say("ready")
while (asked := hear()):
    verb, arguments, options = asked
    answer = getattr(cache, verb)(*arguments, **options)
    say(answer if not isinstance(answer, Invalidated) else answer.count)
manager.close()
"""

INVALIDATIONS = {
    "delete": ["k"], "delete_many": [["other", "k"]], "invalidate_tags": ["other", "t"], "clear": [], "touch": ["k", 0],
}  # fmt: skip


def test_each_invalidation_reaches_the_other_process_before_it_returns(peer):
    one, two = peer(VISIBLE), peer(VISIBLE)
    assert one.hear() == two.hear() == "ready"
    for writer, reader in ((one, two), (two, one)):
        for verb, arguments in INVALIDATIONS.items():
            assert writer.ask(["set", ["k", verb], {"tags": ["t"]}]) is True
            assert reader.ask(["get", ["k"], {}]) == verb
            assert reader.ask(["get", ["k"], {}]) == verb  # from its memory
            assert writer.ask([verb, arguments, {}])
            assert reader.ask(["get", ["k"], {}]) is None, verb
            assert reader.ask(["get_many", [["k"]], {}]) == {}, verb
        writer.ask(["set", ["n", 5], {}])
        assert reader.ask(["get", ["n"], {}]) == 5
        assert writer.ask(["incr", ["n"], {}]) == 6
        assert reader.ask(["get", ["n"], {}]) == 6
        writer.ask(["set_many", [{"n": 50}], {}])
        assert reader.ask(["get", ["n"], {}]) == 50
    for each in (one, two):
        each.say(None)
        each.end()


COUNTING = """
manager = SyncCacheManager({"directory": str(DIRECTORY), "l2": {"deadline": 30}}).start()
cache = manager.tenant("acme")
say("ready")
hear()
for _ in range(ARGUMENTS["times"]):
    cache.incr("n")
    cache.add("first", os.getpid())
say(cache.get("first"))
manager.close()
"""


def test_counters_and_add_are_atomic_between_processes(peer, manager):
    peers = [peer(COUNTING, times=200) for _ in range(4)]
    for each in peers:
        each.hear()
    for each in peers:
        each.say()
    firsts = {each.hear() for each in peers}
    for each in peers:
        each.end()
    assert len(firsts) == 1
    assert manager().tenant("acme").get("n") == 800
