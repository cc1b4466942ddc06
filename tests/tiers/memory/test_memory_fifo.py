"""The queue: order, marks of removed keys, runs of seats."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from caching_core.tiers.memory import Partition
from caching_core.tiers.memory._fifo import Fifo

STEPS = ["push", "push", "forget", "pop", "renew", "rebuild"]


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_live_positions_come_out_in_order_and_no_mark_outlives_them(seed):
    draw = random.Random(seed)  # lists drawn by hypothesis are too short to meet a mark of a renewed seat
    queue = Fifo()
    partitions = [Partition("t", "x"), Partition("t", "y")]
    expected = []
    for _ in range(25):
        what, partition, key = draw.choice(STEPS), draw.choice(partitions), draw.choice("ab")
        place = (key, partition)
        if what == "push":
            queue.push(key, partition.seat)
            expected.append(place)
        elif what == "forget" and place in expected:
            queue.forget(key, partition.seat, expected.count(place))
            expected = [other for other in expected if other != place]
        elif what == "pop":
            assert draw.random() < 0.5 or queue.peek() == (expected[0] if expected else None)
            assert queue.pop() == (expected.pop(0) if expected else None)
        elif what == "renew":
            partition.renew_seat()
            expected = [other for other in expected if other[1] is not partition]
        elif what == "rebuild":
            for live, home in queue.take_all():
                queue.push(live, home.seat)
            assert queue.length == len(expected)
        assert sum(queue.count().values()) == len(expected)
    while (found := queue.pop()) is not None:
        assert found == expected.pop(0)
    assert not expected
    assert queue.length == 0
    assert not queue._stale
