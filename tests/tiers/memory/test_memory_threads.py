"""Threads and forks: bounds seen from outside at any moment, counts exact afterwards."""

import gc
import os
import random
import sys
import threading
import weakref

import pytest

from caching_core.tiers.memory import MemoryTier

# Forking beside threads is the subject; from 3.12 on Python warns of it.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

ROUNDS = 4000
MAX_ENTRIES, MAX_BYTES = 40, 2500


@pytest.fixture(autouse=True)
def _switch_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def _run_all(jobs, done=None):
    errors = []

    def guarded(job):
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - carried to the test
            errors.append(error)
            if done is not None:
                done.set()

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


@pytest.mark.parametrize("policy", ["s3fifo", "lru"])
def test_threads_never_see_more_than_fits_and_counts_end_exact(policy, make_entry, read):
    tier = MemoryTier(max_entries=MAX_ENTRIES, max_bytes=MAX_BYTES, policy=policy)
    partitions = [tier.partition(tenant, "ns") for tenant in "abc"]
    done = threading.Event()
    writers = 3
    left = [writers]

    def work(seed):
        draw = random.Random(seed)
        for _ in range(ROUNDS):
            partition, key = draw.choice(partitions), f"k{int(draw.expovariate(0.05))}"
            what = draw.random()
            if what < 0.05:
                tier.discard(partition, key)
            elif what < 0.051:
                tier.clear(partition)
            elif what < 0.052:
                tier.shrink(0.2)
            elif read(partition, key) is None or what < 0.2:
                tier.put(partition, key, make_entry(size=draw.randrange(0, 120)))
        left[0] -= 1
        if not left[0]:
            done.set()

    def watch():
        while not done.is_set():
            usage = tier.usage()
            assert usage.entries <= MAX_ENTRIES
            assert usage.bytes + usage.ghost_bytes <= MAX_BYTES
            tier.check_invariants()

    _run_all([*(lambda seed=seed: work(seed) for seed in range(writers)), watch], done)
    tier.check_invariants()


@pytest.mark.parametrize("policy", ["s3fifo", "lru"])
def test_one_partition_never_holds_more_than_fits_at_any_moment(policy, make_entry):
    tier = MemoryTier(max_entries=5, max_bytes=10**6, policy=policy)
    partition = tier.partition("a", "ns")
    done = threading.Event()
    seen = []

    def write():
        for i in range(20_000):
            tier.put(partition, f"k{i % 50}", make_entry())
        done.set()

    def watch():
        while not done.is_set():
            seen.append(len(partition.entries))

    _run_all([write, watch], done)
    assert max(seen) <= 5


@pytest.mark.parametrize("policy", ["s3fifo", "lru"])
def test_reads_of_many_threads_are_all_counted(policy, make_entry, read):
    tier = MemoryTier(max_entries=100, max_bytes=10**6, policy=policy)
    partition = tier.partition("a", "ns")
    for i in range(50):
        tier.put(partition, f"k{i}", make_entry())

    def work():
        for i in range(20_000):
            assert read(partition, f"k{i % 50}") is not None

    _run_all([work] * 4)
    assert tier.hits() == 80_000
    tier.check_invariants()


@pytest.mark.parametrize("policy", ["s3fifo", "lru"])
def test_a_child_forked_in_the_middle_of_writes_has_a_working_exact_tier(policy, make_entry, read):
    tier = MemoryTier(max_entries=MAX_ENTRIES, max_bytes=MAX_BYTES, policy=policy)
    partition = tier.partition("a", "ns")
    done = threading.Event()
    statuses = []

    def write():
        draw = random.Random(5)
        while not done.is_set():
            tier.put(partition, f"k{draw.randrange(100)}", make_entry(size=draw.randrange(0, 120)))

    def child():
        tier.check_invariants()
        for i in range(200):
            if not tier.put(partition, f"c{i}", make_entry()) or read(partition, f"c{i}") is None:
                return 2
        tier.check_invariants()
        return 0

    def fork():
        try:
            for _ in range(20):
                pid = os.fork()
                if pid == 0:
                    try:
                        os._exit(child())
                    finally:
                        os._exit(1)
                statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        finally:
            done.set()

    _run_all([write, write, fork], done)
    assert statuses == [0] * 20
    tier.check_invariants()


def test_a_child_forked_while_another_thread_holds_on_recounts(make_entry):
    """The lock is waited for, not for ever: then the child must not trust what it inherited."""
    gone, go_on = threading.Event(), threading.Event()

    def clock():
        gone.set()
        go_on.wait(60)
        return 1.0

    tier = MemoryTier(max_entries=2, max_bytes=1000, now=clock)
    partition = tier.partition("a", "ns")
    for i in range(2):
        tier.put(partition, f"k{i}", make_entry())
    stuck = threading.Thread(target=tier.put, args=(partition, "k2", make_entry()))
    stuck.start()
    assert gone.wait(60)
    tier._policy._main_n += 5  # what half an operation leaves behind
    pid = os.fork()
    if pid == 0:
        try:
            go_on.set()
            tier.check_invariants()
            os._exit(0 if tier.put(partition, "c", make_entry()) else 2)
        finally:
            os._exit(1)
    tier._policy._main_n -= 5
    go_on.set()
    stuck.join(60)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    tier.check_invariants()


def test_a_tier_is_freed_though_it_watches_forks(make_entry):
    tier = MemoryTier(max_entries=2, max_bytes=1000, policy="lru")
    tier.put(tier.partition("a", "ns"), "k", make_entry())
    weak = weakref.ref(tier)
    del tier
    gc.collect()
    assert weak() is None
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
