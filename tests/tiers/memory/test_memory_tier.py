"""What put, discard, clear, shrink and resize promise, under both policies."""

import gc
import random

import pytest

from caching_core.errors import ConfigInvalid
from caching_core.tiers.memory import POLICIES, MemoryTier

BOTH = pytest.mark.parametrize("policy", ["s3fifo", "lru"])


class _Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def _tier(policy="s3fifo", *, max_entries=100, max_bytes=100_000, now=None):
    return MemoryTier(max_entries=max_entries, max_bytes=max_bytes, policy=policy, now=now or _Clock())


@BOTH
def test_an_entry_is_found_in_its_partition_only(policy, make_entry, read):
    tier = _tier(policy)
    a, b = tier.partition("a", "ns"), tier.partition("b", "ns")
    entry = make_entry()
    assert tier.put(a, "k", entry)
    assert tier.partition("a", "ns") is a
    assert read(a, "k") is entry
    assert read(b, "k") is None
    assert tier.tenant_usage("a") == (1, 10, 1, 0)
    assert tier.tenant_usage("b") == (0, 0, 0, 0)


@BOTH
def test_tenant_usage_sums_over_namespaces(policy, make_entry, read):
    tier = _tier(policy)
    for namespace in ("x", "y"):
        partition = tier.partition("a", namespace)
        tier.put(partition, "k", make_entry(size=7))
        read(partition, "k")
    assert tier.tenant_usage("a") == (2, 14, 2, 0)


@BOTH
def test_overwriting_keeps_the_count_of_reads_and_accounts_the_new_size(policy, make_entry, read):
    tier = _tier(policy)
    partition = tier.partition("a", "ns")
    tier.put(partition, "k", make_entry(size=10))
    for _ in range(3):
        read(partition, "k")
    newer = make_entry(size=25)
    assert tier.put(partition, "k", newer)
    assert partition.entries.get("k") is newer
    assert newer.n == 3
    assert tier.usage().bytes == 25
    assert tier.hits() == 3
    tier.check_invariants()


@BOTH
def test_what_is_larger_than_l1_is_refused_and_leaves_no_older_one(policy, make_entry, read):
    tier = _tier(policy, max_bytes=100)
    partition = tier.partition("a", "ns")
    tier.put(partition, "k", make_entry())
    read(partition, "k")
    assert not tier.put(partition, "k", make_entry(size=101))
    assert read(partition, "k") is None
    assert tier.usage().bytes == 0
    assert tier.hits() == 1
    assert tier.put(partition, "k", make_entry(size=100))
    tier.check_invariants()


@BOTH
def test_an_entry_as_large_as_l1_drives_out_all_others_and_ghosts(policy, make_entry):
    tier = _tier(policy, max_bytes=10_000)
    partition = tier.partition("a", "ns")
    for i in range(300):
        tier.put(partition, f"k{i}", make_entry(size=100))
    assert tier.put(partition, "all", make_entry(size=10_000))
    assert list(partition.entries) == ["all"]
    assert tier.usage().ghosts == 0
    tier.check_invariants()


@BOTH
def test_discard_takes_only_the_very_entry_that_is_named(policy, make_entry):
    tier = _tier(policy)
    partition = tier.partition("a", "ns")
    old, new = make_entry(), make_entry()
    tier.put(partition, "k", old)
    tier.put(partition, "k", new)
    assert not tier.discard(partition, "k", old)
    assert tier.discard(partition, "k", new)
    assert not tier.discard(partition, "k")
    assert tier.usage().entries == 0
    tier.check_invariants()


@BOTH
def test_clear_takes_one_partition_or_all(policy, make_entry, read):
    tier = _tier(policy)
    a, b = tier.partition("a", "ns"), tier.partition("b", "ns")
    entries = a.entries
    for partition in (a, b):
        for i in range(20):
            tier.put(partition, f"k{i}", make_entry())
            read(partition, f"k{i}")
    tier.clear(a)
    assert (len(a.entries), len(b.entries)) == (0, 20)
    assert a.entries is entries
    tier.check_invariants()
    tier.put(a, "k1", make_entry())
    tier.check_invariants()
    tier.clear()
    assert tier.usage().entries == tier.usage().bytes == 0
    assert tier.hits() == 40
    tier.check_invariants()


@BOTH
@pytest.mark.parametrize("max_entries", [1, 2, 3])
def test_a_tiny_l1_works_under_full_churn(policy, max_entries, make_entry, read):
    tier = _tier(policy, max_entries=max_entries)
    partition = tier.partition("a", "ns")
    for i in range(500):
        assert tier.put(partition, f"k{i % 7}", make_entry())
        assert read(partition, f"k{i % 7}") is not None
        tier.check_invariants()
    assert tier.usage().entries == max_entries


@BOTH
def test_bytes_of_nothing_and_below_nothing_count_as_nothing(policy, make_entry):
    tier = _tier(policy, max_entries=5, max_bytes=1)
    partition = tier.partition("a", "ns")
    for i in range(50):
        assert tier.put(partition, f"k{i}", make_entry(size=random.Random(i).choice([0, -5, 1])))
        assert tier.usage().bytes == sum(entry.size for entry in partition.entries.values()) >= 0
        tier.check_invariants()
    tier.clear()
    tier.put(partition, "k", make_entry(size=-5))
    assert tier.usage().bytes == 0
    assert tier.usage().entries == 1


@BOTH
def test_bytes_bind_where_entries_do_not(policy, make_entry):
    tier = _tier(policy, max_entries=1000, max_bytes=5_000)
    partition = tier.partition("a", "ns")
    for i in range(400):
        tier.put(partition, f"k{i}", make_entry(size=100))
        usage = tier.usage()
        assert usage.bytes + usage.ghost_bytes <= 5_000
    assert tier.usage().entries >= 40
    tier.check_invariants()


@BOTH
def test_growing_an_entry_makes_room_and_may_drive_out_itself_first(policy, make_entry):
    tier = _tier(policy, max_bytes=100)
    partition = tier.partition("a", "ns")
    for i in range(10):
        tier.put(partition, f"k{i}", make_entry(size=10))
    assert tier.put(partition, "k0", make_entry(size=95))
    assert list(partition.entries) == ["k0"]
    tier.check_invariants()


@BOTH
def test_hits_stay_exact_over_eviction_overwrite_discard_and_clear(policy, make_entry, read):
    tier = _tier(policy, max_entries=20)
    partitions = [tier.partition(tenant, "ns") for tenant in "abc"]
    draw = random.Random(3)
    hits = 0
    for _ in range(5000):
        partition, key = draw.choice(partitions), f"k{int(draw.expovariate(0.1))}"
        if read(partition, key) is not None:
            hits += 1
        else:
            tier.put(partition, key, make_entry())
        if draw.random() < 0.05:
            tier.discard(partition, key)
        if draw.random() < 0.05:
            tier.put(partition, key, make_entry())
        if draw.random() < 0.002:
            tier.clear(partition)
    assert tier.hits() == hits
    assert sum(tier.tenant_usage(tenant).hits for tenant in "abc") == hits
    assert sum(tier.tenant_usage(tenant).evicted for tenant in "abc") == tier.usage().evicted > 0


@BOTH
def test_eviction_takes_what_is_expired_before_what_lives(policy, make_entry, read):
    clock = _Clock()
    tier = _tier(policy, max_entries=10, now=clock)
    partition = tier.partition("a", "ns")
    for i in range(10):
        tier.put(partition, f"old{i}", make_entry(until=101.0))
    for i in range(10):  # read often: only their time makes them go
        for _ in range(3):
            read(partition, f"old{i}")
    clock.now = 101.0
    for i in range(9):
        tier.put(partition, f"new{i}", make_entry(until=200.0))
    assert sum(key.startswith("new") for key in partition.entries) >= 8
    assert tier.usage().expired >= 8
    assert tier.usage().evicted == tier.tenant_usage("a").evicted <= 1
    tier.check_invariants()


def test_reads_do_not_save_what_is_expired_in_the_small_queue(make_entry, read):
    clock = _Clock()
    tier = _tier(max_entries=10, now=clock)
    partition = tier.partition("a", "ns")
    for i in range(15):
        tier.put(partition, f"k{i}", make_entry())
    tier.put(partition, "newcomer", make_entry(until=101.0))
    for _ in range(9):
        read(partition, "newcomer")
    clock.now = 101.0
    for i in range(15, 18):
        tier.put(partition, f"k{i}", make_entry())
    assert "newcomer" not in partition.entries
    assert tier.usage().expired == 1
    tier.check_invariants()


def test_entries_whose_time_the_tier_cannot_judge_are_not_called_expired(make_entry):
    tier = _tier(max_entries=2)
    partition = tier.partition("a", "ns")
    for i in range(10):
        tier.put(partition, f"k{i}", make_entry(until=0.0) if i % 2 else make_entry(until=1.0, extra="soft and hard limits"))
    assert tier.usage().expired == 0
    assert tier.usage().evicted == 8


@BOTH
def test_removals_leave_no_growing_queue(policy, make_entry):
    tier = _tier(policy, max_entries=50)
    partition = tier.partition("a", "ns")
    for i in range(5000):
        tier.put(partition, f"k{i % 10}", make_entry())
        tier.discard(partition, f"k{i % 10}")
        if i % 500 == 0:
            tier.clear(partition)
            tier.check_invariants()
    tier.check_invariants()
    queues = [getattr(tier._policy, name) for name in ("_small", "_main", "_order") if hasattr(tier._policy, name)]
    assert sum(queue.length for queue in queues) <= 200
    assert sum(len(queue._stale) for queue in queues) <= 200


def test_overwrites_alone_leave_no_growing_queue_under_lru(make_entry, read):
    tier = _tier("lru")
    partition = tier.partition("a", "ns")
    for _ in range(5000):
        tier.put(partition, "k", make_entry())
        read(partition, "k")
    tier.check_invariants()
    assert tier._policy._order.length < 700
    assert len(tier._policy._log) <= 512


def test_reads_alone_leave_no_growing_log_under_lru(make_entry, read):
    tier = _tier("lru")
    partition = tier.partition("a", "ns")
    tier.put(partition, "k", make_entry())
    for _ in range(20_000):
        read(partition, "k")
    assert len(tier._policy._log) <= 512
    assert tier._policy._order.length <= 1100
    tier.check_invariants()


def test_lru_takes_the_one_read_longest_ago_and_a_look_is_no_read(make_entry, read):
    tier = _tier("lru", max_entries=3)
    partition = tier.partition("a", "ns")
    for key in "abc":
        tier.put(partition, key, make_entry())
    read(partition, "a")
    partition.entries.get("b")
    tier.put(partition, "d", make_entry())
    assert sorted(partition.entries) == ["a", "c", "d"]
    tier.put(partition, "c", make_entry())  # a write is a use too
    tier.put(partition, "e", make_entry())
    assert sorted(partition.entries) == ["c", "d", "e"]


def test_ghosts_are_bounded_and_counted_as_memory(make_entry):
    tier = _tier(max_entries=1000, max_bytes=64_000)
    partition = tier.partition("a", "ns")
    for i in range(20_000):
        tier.put(partition, f"k{i}", make_entry(size=1))
    usage = tier.usage()
    assert 0 < usage.ghosts <= 64_000 // 8 // 128
    assert usage.ghost_bytes == usage.ghosts * 128
    tier.check_invariants()


def test_room_made_later_is_filled_by_the_small_queue(make_entry):
    tier = _tier(max_entries=20)
    partition = tier.partition("a", "ns")
    for i in range(21):
        tier.put(partition, f"k{i}", make_entry())
    in_main = [key for key, entry in partition.entries.items() if entry.where & 1]
    for key in in_main[:10]:
        tier.discard(partition, key)
    for i in range(10):
        tier.put(partition, f"new{i}", make_entry())
    assert tier.usage().entries == 20
    assert not any(partition.entries[f"new{i}"].where & 1 for i in range(10))
    tier.check_invariants()


def test_a_key_that_returns_soon_after_its_eviction_is_kept(make_entry):
    tier = _tier(max_entries=20)
    partition = tier.partition("a", "ns")
    for i in range(40):
        tier.put(partition, f"k{i}", make_entry())
    gone = next(f"k{i}" for i in range(39, -1, -1) if f"k{i}" not in partition.entries)
    tier.put(partition, gone, make_entry())
    for i in range(100, 110):
        tier.put(partition, f"k{i}", make_entry())
    assert gone in partition.entries


def test_one_hot_generation_does_not_make_an_eviction_walk_for_ever(make_entry):
    tier = _tier(max_entries=20_000, max_bytes=10**9)
    partition = tier.partition("a", "ns")
    for i in range(20_000):
        entry = make_entry()
        tier.put(partition, f"k{i}", entry)
        entry.n = 50
    main = tier._policy._main
    before = main._positions[0]
    tier.put(partition, "new", make_entry())
    assert main._positions[0] != before
    untouched = sum(entry.where >> 1 == 0 for entry in partition.entries.values())
    assert untouched >= 20_000 - 4096 - 1
    tier.check_invariants()


@BOTH
def test_shrink_gives_up_the_share_that_is_named(policy, make_entry):
    tier = _tier(policy)
    partition = tier.partition("a", "ns")
    for i in range(100):
        tier.put(partition, f"k{i}", make_entry())
    assert tier.shrink(0.2) == 20
    assert tier.usage().entries == 80
    assert tier.usage().ghosts == 0
    assert tier.shrink(0) == 0
    assert tier.shrink(1) == 80
    with pytest.raises(ValueError, match="fraction"):
        tier.shrink(1.5)
    tier.check_invariants()


@BOTH
def test_resize_evicts_down_to_the_new_bounds(policy, make_entry):
    tier = _tier(policy)
    partition = tier.partition("a", "ns")
    for i in range(150):
        tier.put(partition, f"k{i}", make_entry())
    tier.resize(10, 1000)
    assert tier.usage().entries == 10
    tier.check_invariants()
    tier.resize(200, 85)
    assert tier.usage().entries <= 8
    tier.check_invariants()
    for i in range(300):
        tier.put(partition, f"k{i}", make_entry(size=0))
    tier.check_invariants()
    assert tier.usage().entries == 200


@pytest.mark.parametrize(
    ("policy", "running"), [("s3fifo", "s3fifo"), ("lru", "lru"), ("adaptive", "s3fifo"), ("lfu", "s3fifo"), ("wtinylfu", "s3fifo")]
)
def test_what_runs_is_said(policy, running):
    tier = _tier(policy)
    assert (tier.policy, tier.running) == (policy, running)
    assert tier.usage().policy == policy
    assert tier.usage().running == running
    assert bool(tier.policy_note) == (policy != running)
    if policy != running:
        assert policy in tier.policy_note
        assert running in tier.policy_note


def test_every_policy_of_the_list_is_taken():
    assert {_tier(policy).policy for policy in POLICIES} == set(POLICIES)


@pytest.mark.parametrize("wrong", [{"policy": "fifo"}, {"max_entries": 0}, {"max_bytes": 0}, {"max_entries": -1}])
def test_a_wrong_setting_is_refused(wrong):
    with pytest.raises(ConfigInvalid, match=next(iter(wrong))):
        MemoryTier(**{"max_entries": 1, "max_bytes": 1, **wrong})
    with pytest.raises(ConfigInvalid):
        _tier().resize(0, 1)


class _Caller:
    """A value whose finaliser uses the cache."""

    def __init__(self, tier, partition, entry):
        self.use = lambda: tier.put(partition, "from the finaliser", entry)
        self.said = []

    def __del__(self):
        self.said.append(self.use())


@BOTH
@pytest.mark.parametrize("leave", ["evict", "overwrite", "discard", "refuse", "clear", "shrink", "resize"])
def test_a_finaliser_may_use_the_tier(policy, leave, make_entry):
    tier = _tier(policy, max_entries=1)
    partition = tier.partition("a", "ns")
    value = _Caller(tier, partition, make_entry())
    said = value.said
    tier.put(partition, "k", make_entry(value))
    del value
    {
        "evict": lambda: tier.put(partition, "other", make_entry()),
        "overwrite": lambda: tier.put(partition, "k", make_entry()),
        "discard": lambda: tier.discard(partition, "k"),
        "refuse": lambda: tier.put(partition, "k", make_entry(size=10**9)),
        "clear": tier.clear,
        "shrink": lambda: tier.shrink(1),
        "resize": lambda: tier.resize(1, 1),
    }[leave]()
    gc.collect()
    assert said == [leave != "resize"]  # freed after the operation; resized to one byte it is too large
    tier.check_invariants()


@BOTH
def test_an_operation_inside_another_does_nothing(policy, make_entry):
    inner = []

    def clock():
        inner.append((tier.put(partition, "x", make_entry()), tier.discard(partition, "k0"), tier.shrink(1), tier.clear()))
        return 1.0

    tier = MemoryTier(max_entries=2, max_bytes=1000, policy=policy, now=clock)
    partition = tier.partition("a", "ns")
    for i in range(3):
        assert tier.put(partition, f"k{i}", make_entry())
    assert inner == [(False, False, 0, None)]
    tier.check_invariants()


class _Interrupts:
    """Stands in for the clock: loses a position of the queue and raises, as a signal between two statements would."""

    def __init__(self, queue, error, times):
        self.queue, self.error, self.times = queue, error, times

    def __call__(self):
        if self.times:
            self.times -= 1
            self.queue.pop()
            raise self.error
        return 1.0


@BOTH
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_operation_that_breaks_off_leaves_exact_counts(policy, error, make_entry, read):
    tier = _tier(policy, max_entries=50)
    partition = tier.partition("a", "ns")
    draw = random.Random(11)
    names = ["_main", "_small"] if policy == "s3fifo" else ["_order"]
    for i in range(200):
        tier._now = _Clock()
        tier.put(partition, f"k{i}", make_entry(size=draw.randrange(100)))
        read(partition, f"k{draw.randrange(i + 1)}")
        if i >= 50:
            tier._now = _Interrupts(getattr(tier._policy, draw.choice(names)), error, times=1)
            with pytest.raises(error):
                tier.put(partition, f"x{i}", make_entry())
            assert tier.usage().entries >= 49
        tier.check_invariants()


@BOTH
def test_a_repair_that_breaks_off_too_leaves_an_empty_tier(policy, make_entry):
    tier = _tier(policy, max_entries=50)
    partition = tier.partition("a", "ns")
    for i in range(50):
        tier.put(partition, f"k{i}", make_entry())
    partition.entries["k7"].size = "not a number"
    with pytest.raises(TypeError):
        tier.put(partition, "x", make_entry(size="large"))
    assert tier.usage().entries == tier.usage().bytes == 0
    tier.check_invariants()
