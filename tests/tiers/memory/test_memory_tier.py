"""What put, discard, clear, shrink and resize promise, under both policies."""

import pytest

from caching_core.errors import ConfigInvalid
from caching_core.tiers.memory import POLICIES, MemoryTier

BOTH = pytest.mark.parametrize("policy", ["s3fifo", "lru"])


@BOTH
def test_an_entry_is_found_in_its_partition_only(policy, make_entry, read, make_tier):
    tier = make_tier(policy)
    a, b = tier.partition("a", "ns"), tier.partition("b", "ns")
    entry = make_entry()
    assert tier.put(a, "k", entry)
    assert tier.partition("a", "ns") is a
    assert read(a, "k") is entry
    assert read(b, "k") is None
    assert tier.tenant_usage("a") == (1, 10, 1, 0)
    assert tier.tenant_usage("b") == (0, 0, 0, 0)


@BOTH
def test_tenant_usage_sums_over_namespaces(policy, make_entry, read, make_tier):
    tier = make_tier(policy)
    for namespace in ("x", "y"):
        partition = tier.partition("a", namespace)
        tier.put(partition, "k", make_entry(size=7))
        read(partition, "k")
    assert tier.tenant_usage("a") == (2, 14, 2, 0)


@BOTH
def test_overwriting_keeps_the_count_of_reads_and_accounts_the_new_size(policy, make_entry, read, make_tier):
    tier = make_tier(policy)
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
def test_what_is_larger_than_l1_is_refused_and_leaves_no_older_one(policy, make_entry, read, make_tier):
    tier = make_tier(policy, max_bytes=100)
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
def test_an_entry_as_large_as_l1_drives_out_all_others_and_ghosts(policy, make_entry, make_tier):
    tier = make_tier(policy, max_bytes=10_000)
    partition = tier.partition("a", "ns")
    for i in range(300):
        tier.put(partition, f"k{i}", make_entry(size=100))
    assert tier.put(partition, "all", make_entry(size=10_000))
    assert list(partition.entries) == ["all"]
    assert tier.usage().ghosts == 0
    tier.check_invariants()


@BOTH
def test_discard_takes_only_the_very_entry_that_is_named(policy, make_entry, make_tier):
    tier = make_tier(policy)
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
def test_clear_takes_one_partition_or_all(policy, make_entry, read, make_tier):
    tier = make_tier(policy)
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
def test_shrink_gives_up_the_share_that_is_named(policy, make_entry, make_tier):
    tier = make_tier(policy)
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
def test_resize_evicts_down_to_the_new_bounds(policy, make_entry, make_tier):
    tier = make_tier(policy)
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
def test_what_runs_is_said(policy, running, make_tier):
    tier = make_tier(policy)
    assert (tier.policy, tier.running) == (policy, running)
    assert tier.usage().policy == policy
    assert tier.usage().running == running
    assert bool(tier.policy_note) == (policy != running)
    if policy != running:
        assert policy in tier.policy_note
        assert running in tier.policy_note


def test_every_policy_of_the_list_is_taken(make_tier):
    assert {make_tier(policy).policy for policy in POLICIES} == set(POLICIES)


@pytest.mark.parametrize("wrong", [{"policy": "fifo"}, {"max_entries": 0}, {"max_bytes": 0}, {"max_entries": -1}])
def test_a_wrong_setting_is_refused(wrong, make_tier):
    with pytest.raises(ConfigInvalid, match=next(iter(wrong))):
        MemoryTier(**{"max_entries": 1, "max_bytes": 1, **wrong})
    with pytest.raises(ConfigInvalid):
        make_tier().resize(0, 1)
