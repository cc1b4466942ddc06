"""Who has to leave L1, and what stays bounded while they do."""

import random

import pytest

BOTH = pytest.mark.parametrize("policy", ["s3fifo", "lru"])


@BOTH
@pytest.mark.parametrize("max_entries", [1, 2, 3])
def test_a_tiny_l1_works_under_full_churn(policy, max_entries, make_entry, read, make_tier):
    tier = make_tier(policy, max_entries=max_entries)
    partition = tier.partition("a", "ns")
    for i in range(500):
        assert tier.put(partition, f"k{i % 7}", make_entry())
        assert read(partition, f"k{i % 7}") is not None
        tier.check_invariants()
    assert tier.usage().entries == max_entries


@BOTH
def test_bytes_of_nothing_and_below_nothing_count_as_nothing(policy, make_entry, make_tier):
    tier = make_tier(policy, max_entries=5, max_bytes=1)
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
def test_bytes_bind_where_entries_do_not(policy, make_entry, make_tier):
    tier = make_tier(policy, max_entries=1000, max_bytes=5_000)
    partition = tier.partition("a", "ns")
    for i in range(400):
        tier.put(partition, f"k{i}", make_entry(size=100))
        usage = tier.usage()
        assert usage.bytes + usage.ghost_bytes <= 5_000
    assert tier.usage().entries >= 40
    tier.check_invariants()


@BOTH
def test_growing_an_entry_makes_room_and_may_drive_out_itself_first(policy, make_entry, make_tier):
    tier = make_tier(policy, max_bytes=100)
    partition = tier.partition("a", "ns")
    for i in range(10):
        tier.put(partition, f"k{i}", make_entry(size=10))
    assert tier.put(partition, "k0", make_entry(size=95))
    assert list(partition.entries) == ["k0"]
    tier.check_invariants()


@BOTH
def test_hits_stay_exact_over_eviction_overwrite_discard_and_clear(policy, make_entry, read, make_tier):
    tier = make_tier(policy, max_entries=20)
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
def test_eviction_takes_what_is_expired_before_what_lives(policy, make_entry, read, make_tier, clock):
    tier = make_tier(policy, max_entries=10, now=clock)
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


def test_reads_do_not_save_what_is_expired_in_the_small_queue(make_entry, read, make_tier, clock):
    tier = make_tier(max_entries=10, now=clock)
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


def test_entries_whose_time_the_tier_cannot_judge_are_not_called_expired(make_entry, make_tier):
    tier = make_tier(max_entries=2)
    partition = tier.partition("a", "ns")
    for i in range(10):
        tier.put(partition, f"k{i}", make_entry(until=0.0) if i % 2 else make_entry(until=1.0, extra="soft and hard limits"))
    assert tier.usage().expired == 0
    assert tier.usage().evicted == 8


@BOTH
def test_removals_leave_no_growing_queue(policy, make_entry, make_tier):
    tier = make_tier(policy, max_entries=50)
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


def test_overwrites_alone_leave_no_growing_queue_under_lru(make_entry, read, make_tier):
    tier = make_tier("lru")
    partition = tier.partition("a", "ns")
    for _ in range(5000):
        tier.put(partition, "k", make_entry())
        read(partition, "k")
    tier.check_invariants()
    assert tier._policy._order.length < 700
    assert len(tier._policy._log) <= 512


def test_reads_alone_leave_no_growing_log_under_lru(make_entry, read, make_tier):
    tier = make_tier("lru")
    partition = tier.partition("a", "ns")
    tier.put(partition, "k", make_entry())
    for _ in range(20_000):
        read(partition, "k")
    assert len(tier._policy._log) <= 512
    assert tier._policy._order.length <= 1100
    tier.check_invariants()


def test_lru_takes_the_one_read_longest_ago_and_a_look_is_no_read(make_entry, read, make_tier):
    tier = make_tier("lru", max_entries=3)
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


def test_ghosts_are_bounded_and_counted_as_memory(make_entry, make_tier):
    tier = make_tier(max_entries=1000, max_bytes=64_000)
    partition = tier.partition("a", "ns")
    for i in range(20_000):
        tier.put(partition, f"k{i}", make_entry(size=1))
    usage = tier.usage()
    assert 0 < usage.ghosts <= 64_000 // 8 // 128
    assert usage.ghost_bytes == usage.ghosts * 128
    tier.check_invariants()


def test_room_made_later_is_filled_by_the_small_queue(make_entry, make_tier):
    tier = make_tier(max_entries=20)
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


def test_a_key_that_returns_soon_after_its_eviction_is_kept(make_entry, make_tier):
    tier = make_tier(max_entries=20)
    partition = tier.partition("a", "ns")
    for i in range(40):
        tier.put(partition, f"k{i}", make_entry())
    gone = next(f"k{i}" for i in range(39, -1, -1) if f"k{i}" not in partition.entries)
    tier.put(partition, gone, make_entry())
    for i in range(100, 110):
        tier.put(partition, f"k{i}", make_entry())
    assert gone in partition.entries


def test_one_hot_generation_does_not_make_an_eviction_walk_for_ever(make_entry, make_tier):
    tier = make_tier(max_entries=20_000, max_bytes=10**9)
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
