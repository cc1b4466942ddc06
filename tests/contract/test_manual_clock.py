"""The manual clock: exact, steady, and its wall clock apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caching_core.testing import ManualClock


@given(st.lists(st.integers(min_value=0, max_value=10**6), max_size=50))
def test_steps_add_up_exactly(steps):
    clock = ManualClock(start=5.0)
    for step in steps:
        clock.advance(step / 1000)
    assert clock.now_ms() == 5000 + sum(steps)
    assert clock.now() == pytest.approx(5.0 + sum(steps) / 1000)


def test_the_wall_clock_jumps_alone_and_moves_with_time():
    clock = ManualClock(start=10.0, wall=1000.0)
    clock.jump_wall(-3600)
    assert (clock.now(), clock.wall()) == (10.0, -2600.0)
    clock.advance(1.5)
    assert (clock.now(), clock.now_ms(), clock.wall()) == (11.5, 11_500, -2598.5)


def test_a_steady_clock_does_not_go_back():
    clock = ManualClock()
    with pytest.raises(ValueError, match="jump_wall"):
        clock.advance(-0.001)
    assert clock.now() == ManualClock().now()
