"""Lifetimes in histories: who may be read until when, after touch and persist."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caching_core.testing.history import KeyEvents, Recorder, Tier, Touch, check
from caching_core.testing.history._gather import ENDLESS
from caching_core.testing.history._lifetimes import Lifetimes


@pytest.fixture
def recorder(tmp_path):
    made = Recorder(tmp_path, 3)
    yield made
    made.close()


def load(recorder, *, begin=10, deadline=100):
    """A value is loaded, and found soon after."""
    recorder.read(1, 0, begin, begin + 5, deadline=deadline, tier=Tier.LOADED)
    recorder.read(1, 0, begin + 6, begin + 9, deadline=deadline)


def touch(recorder, begin, end, **outcome):
    recorder.touched(1, begin)
    recorder.touched(1, begin, end, **outcome)


def is_over(recorder, moment, *, deadline=100):
    """Whether I8 objects to a read of the value that begins at ``moment``."""
    before = check([recorder.path]).violations["I8"]
    recorder.read(1, 0, moment, moment + 5, deadline=deadline)
    return check([recorder.path]).violations["I8"] > before


def test_a_touch_prolongs_a_life(recorder):
    load(recorder)
    touch(recorder, 50, 60, limit=200, found=True)
    assert not is_over(recorder, 200)
    assert is_over(recorder, 201)


def test_and_persist_without_end(recorder):
    load(recorder)
    touch(recorder, 50, 60, found=True)
    assert not is_over(recorder, 10**12)


def test_a_touch_shortens_a_life_for_everybody(recorder):
    load(recorder)
    assert not is_over(recorder, 80)
    touch(recorder, 30, 40, limit=70, found=True)
    assert is_over(recorder, 80)


def test_also_one_that_had_been_prolonged(recorder):
    load(recorder)
    touch(recorder, 26, 28, found=True)
    touch(recorder, 30, 40, limit=70, found=True)
    assert is_over(recorder, 80)


def test_but_not_for_a_read_that_overlaps_it(recorder):
    load(recorder)
    touch(recorder, 30, 60, limit=40, found=True)
    assert not is_over(recorder, 50)


def test_but_only_the_life_of_the_value_that_it_found(recorder):
    recorder.read(1, 0, 10, 35, deadline=100, tier=Tier.LOADED)  # stored before the touch or after it
    touch(recorder, 30, 40, limit=70, found=True)
    assert not is_over(recorder, 80)
    load(recorder, begin=50, deadline=150)
    assert not is_over(recorder, 150, deadline=150)


def test_of_touches_that_overlap_either_was_last(recorder):
    load(recorder)
    touch(recorder, 30, 40, limit=70, found=True)
    touch(recorder, 35, 45, limit=60, found=True)
    assert not is_over(recorder, 70)
    assert is_over(recorder, 71)


def test_a_touch_that_was_refused_may_have_shortened_it_or_not(recorder):
    load(recorder)
    touch(recorder, 30, 40, limit=70)
    assert not is_over(recorder, 80)


def test_or_prolonged_it(recorder):
    load(recorder)
    touch(recorder, 30, 40, limit=150)
    assert not is_over(recorder, 150)
    assert is_over(recorder, 151)


@pytest.mark.parametrize(
    ("begin", "end", "outcome"),
    [
        (101, 110, {"limit": 900, "found": True}),  # the value was over before
        (50, 60, {"limit": 900, "found": False}),
        (1, 8, {"found": True}),  # before it was loaded
    ],
)
def test_what_keeps_nothing_prolongs_nothing(recorder, begin, end, outcome):
    load(recorder)
    touch(recorder, begin, end, **outcome)
    assert is_over(recorder, 120)


def test_who_was_killed_may_have_touched(recorder):
    load(recorder)
    recorder.touched(1, 50)
    assert not is_over(recorder, 10**6)


def test_an_example_tells_of_the_touches(recorder):
    load(recorder)
    touch(recorder, 30, 40, limit=70, found=True)
    assert is_over(recorder, 80)
    (example,) = check([recorder.path]).examples
    assert any("touched by process 3" in line for line in example.around)


# -- against a value that works --------------------------------------------------------------------

call = st.tuples(
    st.sampled_from(["load", "get", "get", "touch", "persist", "delete", "killed touch"]),
    st.integers(0, 40),
    st.integers(0, 10),
    st.integers(0, 99),
    st.integers(1, 15),
)


def act(calls):
    """Let each call take effect at one point between its begin and end."""
    events = KeyEvents()
    deadline, until = 0, 0  # of the value that stands; it is over once ``until`` is
    points = sorted((10 * begin + 1 + part * took * 10 // 100, n) for n, (_, begin, took, part, _) in enumerate(calls))
    for now, n in points:
        verb, begin, took, _, ttl = calls[n]
        start, end, is_there = 10 * begin, 10 * (begin + took) + 5, now <= until
        if verb == "delete":
            until = 0
        elif verb == "load" and not is_there:
            deadline = until = now + 1000 * ttl + n  # no two loads alike
            events.reads.append((start, end, 0, deadline, 0, Tier.LOADED, 0))
        elif verb in {"get", "load"}:
            if is_there:
                events.reads.append((start, end, 0, deadline, 0, Tier.UNKNOWN, 0))
        elif is_there or verb == "killed touch":
            life = ENDLESS if verb == "persist" else now + 10 * ttl
            until = life if is_there else until
            events.touches[start, n] = (
                Touch(start, ENDLESS, ENDLESS, found=True)
                if verb == "killed touch"
                else Touch(start, end, life if verb == "persist" else end + 10 * ttl, found=True)
            )
    return events


@given(st.lists(call, max_size=30))
def test_what_a_value_can_do_is_clean(calls):
    events = act(calls)
    lifetimes = Lifetimes(events)
    assert all(read[0] <= lifetimes.limit(read) for read in events.reads)
