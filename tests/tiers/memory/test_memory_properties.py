"""Any sequence of operations: bounds hold, counts are exact, values are the last ones put, order is the policy's."""

import random
from collections import OrderedDict

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from caching_core.tiers.memory import Entry, MemoryTier

KEYS = st.sampled_from([f"k{i}" for i in range(12)])
PARTITIONS = st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["x", "y"]))
SIZES = st.integers(-3, 120)


class MemoryMachine(RuleBasedStateMachine):
    """A tier beside a dict of what was put last."""

    @initialize(
        policy=st.sampled_from(["s3fifo", "lru"]), max_entries=st.integers(1, 14), max_bytes=st.sampled_from([1, 100, 400, 900, 10_000])
    )
    def start(self, policy, max_entries, max_bytes):
        self.now = 1.0
        self.tier = MemoryTier(max_entries=max_entries, max_bytes=max_bytes, policy=policy, now=lambda: self.now)
        self.last = {}
        self.hits = 0

    @rule(place=PARTITIONS, key=KEYS, size=SIZES, ttl=st.sampled_from([0.5, 5.0, 1e9]))
    def put(self, place, key, size, ttl):
        partition = self.tier.partition(*place)
        entry = Entry()
        entry.value, entry.until, entry.size, entry.extra = object(), self.now + ttl, size, None
        if self.tier.put(partition, key, entry):
            assert partition.entries.get(key) is entry
            assert size <= self.tier.max_bytes
            self.last[place, key] = entry
        else:
            assert size > self.tier.max_bytes
            assert key not in partition.entries
            self.last.pop((place, key), None)

    @rule(place=PARTITIONS, key=KEYS, times=st.integers(1, 5))
    def read(self, place, key, times):
        for _ in range(times):
            try:
                entry = self.tier.partition(*place).entries[key]
            except KeyError:
                return
            assert entry is self.last[place, key]
            entry.n += 1
            self.hits += 1

    @rule(place=PARTITIONS, key=KEYS)
    def discard(self, place, key):
        partition = self.tier.partition(*place)
        stands = key in partition.entries
        assert self.tier.discard(partition, key) == stands
        assert key not in partition.entries

    @rule(place=PARTITIONS, key=KEYS)
    def discard_another(self, place, key):
        assert not self.tier.discard(self.tier.partition(*place), key, Entry())

    @rule(place=PARTITIONS)
    def clear_one(self, place):
        self.tier.clear(self.tier.partition(*place))
        assert not self.tier.partition(*place).entries

    @precondition(lambda self: self.hits % 7 == 3)
    @rule()
    def clear_all(self):
        self.tier.clear()
        assert self.tier.usage().entries == 0

    @rule(fraction=st.sampled_from([0.0, 0.2, 1.0]))
    def shrink(self, fraction):
        before = self.tier.usage()
        self.tier.shrink(fraction)
        assert self.tier.usage().entries <= before.entries * (1 - fraction)

    @rule(max_entries=st.integers(1, 14), max_bytes=st.sampled_from([1, 100, 900, 10_000]))
    def resize(self, max_entries, max_bytes):
        self.tier.resize(max_entries, max_bytes)

    @rule(seconds=st.sampled_from([0.1, 1.0, 10.0]))
    def pass_time(self, seconds):
        self.now += seconds

    @invariant()
    def counts_and_bounds_hold(self):
        if not hasattr(self, "tier"):
            return
        self.tier.check_invariants()
        usage = self.tier.usage()
        tenants = [self.tier.tenant_usage(tenant) for tenant in "ab"]
        assert sum(tenant.entries for tenant in tenants) == usage.entries <= self.tier.max_entries
        assert sum(tenant.bytes for tenant in tenants) == usage.bytes <= self.tier.max_bytes - usage.ghost_bytes
        assert sum(tenant.hits for tenant in tenants) == self.tier.hits() == self.hits


MemoryMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestMemoryMachine = MemoryMachine.TestCase


class _PlainS3Fifo:
    """The algorithm of libCacheSim for unit sizes, written as plainly as can be."""

    def __init__(self, capacity):
        self.capacity = capacity
        self.small_max = max(1, int(capacity * 0.1))
        self.ghost_max = int(capacity * 0.9)
        self.small, self.main, self.ghost = OrderedDict(), OrderedDict(), OrderedDict()
        self.has_evicted = False

    def request(self, key):
        for queue in (self.small, self.main):
            if key in queue:
                queue[key] += 1
                return
        is_ghost = self.ghost.pop(key, None) is not None
        while len(self.small) + len(self.main) >= self.capacity:
            self.evict()
        is_early = not self.has_evicted and len(self.small) >= self.small_max
        (self.main if is_ghost or is_early else self.small)[key] = 0

    def evict(self):
        self.has_evicted = True
        if len(self.main) > self.capacity - self.small_max or not self.small:
            while True:
                key, frequency = self.main.popitem(last=False)
                if frequency < 1:
                    return
                self.main[key] = min(frequency, 3) - 1
        while self.small:
            key, frequency = self.small.popitem(last=False)
            if frequency >= 2:
                self.main[key] = 0
                continue
            if self.ghost_max:
                self.ghost[key] = True
            while len(self.ghost) > self.ghost_max:
                self.ghost.popitem(last=False)
            return

    def keys(self):
        return {*self.small, *self.main}


class _PlainLru:
    def __init__(self, capacity):
        self.capacity = capacity
        self.order = OrderedDict()

    def request(self, key):
        if key not in self.order and len(self.order) >= self.capacity:
            self.order.popitem(last=False)
        self.order[key] = None
        self.order.move_to_end(key)

    def keys(self):
        return set(self.order)


@settings(max_examples=100, deadline=None)
@given(
    load=st.tuples(st.integers(0, 2**32), st.integers(2, 200), st.floats(0.5, 3.0), st.integers(1, 8)),
    capacity=st.integers(1, 40),
    policy=st.sampled_from([("s3fifo", _PlainS3Fifo), ("lru", _PlainLru)]),
)
def test_what_stays_is_what_the_plain_algorithm_keeps(load, capacity, policy, make_entry, read):
    seed, keys, skew, burst = load
    name, plain = policy
    reference = plain(capacity)
    tier = MemoryTier(max_entries=capacity, max_bytes=10**9, policy=name)
    # Three partitions share one order: the key says which.
    partitions = [tier.partition(tenant, "ns") for tenant in "abc"]
    draw = random.Random(seed)
    for _ in range(400):
        number = int(keys * draw.random() ** skew)
        partition, key = partitions[number % 3], str(number)
        for _ in range(draw.randint(1, burst)):
            if read(partition, key) is None:
                tier.put(partition, key, make_entry())
            reference.request(key)
        assert {key for partition in partitions for key in partition.entries} == reference.keys()
    tier.check_invariants()
