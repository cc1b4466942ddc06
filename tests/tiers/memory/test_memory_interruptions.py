"""What L1 is after an operation inside another, or one that broke off."""

import gc
import random

import pytest

from caching_core.tiers.memory import MemoryTier

BOTH = pytest.mark.parametrize("policy", ["s3fifo", "lru"])


class _Caller:
    """A value whose finaliser uses the cache."""

    def __init__(self, tier, partition, entry):
        self.use = lambda: tier.put(partition, "from the finaliser", entry)
        self.said = []

    def __del__(self):
        self.said.append(self.use())


@BOTH
@pytest.mark.parametrize("leave", ["evict", "overwrite", "discard", "refuse", "clear", "shrink", "resize"])
def test_a_finaliser_may_use_the_tier(policy, leave, make_entry, make_tier):
    tier = make_tier(policy, max_entries=1)
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
def test_an_operation_that_breaks_off_leaves_exact_counts(policy, error, make_entry, read, make_tier):
    tier = make_tier(policy, max_entries=50)
    clock = tier._now
    partition = tier.partition("a", "ns")
    draw = random.Random(11)
    names = ["_main", "_small"] if policy == "s3fifo" else ["_order"]
    for i in range(200):
        tier._now = clock
        tier.put(partition, f"k{i}", make_entry(size=draw.randrange(100)))
        read(partition, f"k{draw.randrange(i + 1)}")
        if i >= 50:
            tier._now = _Interrupts(getattr(tier._policy, draw.choice(names)), error, times=1)
            with pytest.raises(error):
                tier.put(partition, f"x{i}", make_entry())
            assert tier.usage().entries >= 49
        tier.check_invariants()


@BOTH
def test_a_repair_that_breaks_off_too_leaves_an_empty_tier(policy, make_entry, make_tier):
    tier = make_tier(policy, max_entries=50)
    partition = tier.partition("a", "ns")
    for i in range(50):
        tier.put(partition, f"k{i}", make_entry())
    partition.entries["k7"].size = "not a number"
    with pytest.raises(TypeError):
        tier.put(partition, "x", make_entry(size="large"))
    assert tier.usage().entries == tier.usage().bytes == 0
    tier.check_invariants()
