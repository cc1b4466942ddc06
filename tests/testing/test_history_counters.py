"""Counters in histories: a change that is lost, counts twice or comes back is found, and whatever can happen is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caching_core.testing.history import CounterEvents, Plan, Recorder, Scope, Turn, Universe, check, gather
from caching_core.testing.history._counters import Counter
from caching_core.testing.history._gather import ENDLESS
from caching_core.testing.history._plan import STEP, turn_of


@pytest.fixture
def recorder(tmp_path):
    made = Recorder(tmp_path, 3)
    made.member(1, Scope.NAMESPACE, 5)
    yield made
    made.close()


def change(recorder, turn, begin, end):
    recorder.changed(1, begin)
    recorder.changed(1, begin, end, turn=turn)


def violations(recorder):
    return {name: count for name, count in check([recorder.path]).violations.items() if count}


@given(ups=st.integers(0, 1 << 20), downs=st.integers(0, 1 << 20))
def test_a_sum_tells_how_many_changes_it_is_made_of(ups, downs):
    assert turn_of(ups * STEP - downs) == ups + downs


def test_no_counter_no_turn():
    assert turn_of(None) == 0


def test_counters_stand_beyond_the_keys_and_bear_no_tag(recorder):
    universe = Universe(Plan("", keys=10, counters=3, tenants=2, namespaces=1))
    assert [place.number for place in universe.counters] == [10, 11, 12]
    universe.describe(recorder)
    recorder.changed(10, 5, 6, turn=1)
    recorder.invalidated(Scope.NAMESPACE, universe.counters[0].namespace_number, 10, 20)
    recorder.invalidated(Scope.TAG, universe.counters[0].tag_number, 30, 40)
    assert gather([recorder.path]).counters[10].resets == [(10, 20)]


# -- one violation of each kind --------------------------------------------------------------------


def test_changes_one_after_the_other_are_clean(recorder):
    change(recorder, 1, 10, 20)
    change(recorder, 3, 21, 40)
    change(recorder, 2, 25, 35)  # overlaps the one before: either was first
    recorder.counted(1, 1, 22, 30)
    recorder.counted(1, 3, 41, 50)
    assert violations(recorder) == {}
    assert check([recorder.path]).writes == 3


def test_i9_two_changes_of_one_turn(recorder):
    change(recorder, 1, 10, 20)
    change(recorder, 1, 15, 25)
    assert violations(recorder) == {"I9": 1}
    (example,) = check([recorder.path]).examples
    assert "which another change had" in example.why
    assert any("changed, turn 1" in line for line in example.around)


def test_i9_an_earlier_turn_than_one_that_had_returned(recorder):
    change(recorder, 2, 10, 20)
    change(recorder, 1, 21, 30)
    change(recorder, 3, 31, 40)
    recorder.changed(1, 5)
    assert violations(recorder) == {"I9": 1}


def test_i9_more_turns_than_changes(recorder):
    change(recorder, 2, 10, 20)
    assert violations(recorder) == {"I9": 1}


def test_a_change_that_never_returned_may_count_or_not(recorder):
    recorder.changed(1, 5)
    change(recorder, 2, 10, 20)
    recorder.changed(1, 21)
    change(recorder, 3, 30, 40)
    assert violations(recorder) == {}


def test_one_that_was_refused_may_have_counted_but_not_later(recorder):
    change(recorder, 0, 10, 20)
    change(recorder, 2, 21, 30)
    assert violations(recorder) == {}
    recorder.invalidated(Scope.KEY, 1, 31, 40)
    change(recorder, 2, 41, 50)
    assert violations(recorder) == {"I9": 1}


def test_i10_a_read_that_misses_a_change(recorder):
    change(recorder, 1, 10, 20)
    recorder.counted(1, 0, 15, 30)
    assert violations(recorder) == {}
    recorder.counted(1, 0, 21, 30)
    assert violations(recorder) == {"I10": 1}


@pytest.mark.parametrize("scope", [Scope.KEY, Scope.NAMESPACE])
def test_after_a_reset_it_starts_again_and_nothing_comes_back(recorder, scope):
    name = 1 if scope is Scope.KEY else 5
    change(recorder, 1, 10, 20)
    change(recorder, 2, 21, 30)
    recorder.invalidated(scope, name, 35)
    recorder.invalidated(scope, name, 35, 45)
    recorder.counted(1, 2, 40, 50)  # began before the reset had returned
    recorder.counted(1, 0, 40, 50)
    change(recorder, 1, 51, 60)
    recorder.counted(1, 1, 61, 70)
    assert violations(recorder) == {}
    recorder.counted(1, 2, 61, 70)
    assert violations(recorder) == {"I10": 1}
    change(recorder, 3, 71, 80)
    assert violations(recorder) == {"I9": 1, "I10": 1}


def test_a_change_that_overlaps_a_reset_may_come_after_it(recorder):
    change(recorder, 1, 10, 20)
    recorder.invalidated(Scope.KEY, 1, 30, 40)
    change(recorder, 1, 25, 50)
    assert violations(recorder) == {}


def test_of_resets_that_overlap_the_longest_counts(recorder):
    change(recorder, 1, 10, 20)
    recorder.invalidated(Scope.KEY, 1, 30, 90)
    recorder.invalidated(Scope.KEY, 1, 40, 50)
    change(recorder, 1, 60, 65)
    change(recorder, 1, 70, 75)
    assert violations(recorder) == {}


def test_a_reset_that_never_returned_or_a_fault_may_lose_the_counter(recorder):
    for turn in (1, 2):
        change(recorder, turn, 10 * turn, 10 * turn + 5)
    recorder.fault(30, 35)
    change(recorder, 1, 40, 45)
    recorder.counted(1, 1, 46, 48)
    recorder.invalidated(Scope.KEY, 1, 50)
    change(recorder, 1, 60, 65)
    assert violations(recorder) == {}


# -- against a counter that works ------------------------------------------------------------------

CALLS = ["change", "change", "read", "reset", "killed change", "killed reset"]
call = st.tuples(st.sampled_from(CALLS), st.integers(0, 30), st.integers(0, 10), st.integers(0, 99))


def act(calls, *, lost=None):
    """Let each call take effect at one point between its begin and end; the change number ``lost`` counts for itself alone."""
    events, turn = CounterEvents(), 0
    # Begins, points and ends never fall on the same moment.
    points = sorted((10 * begin + 1 + part * took * 10 // 100, n, begin, took) for n, (_, begin, took, part) in enumerate(calls))
    for _, n, begin, took in points:
        verb, start, end = calls[n][0], 10 * begin, 10 * (begin + took) + 5
        if verb.endswith("change"):
            found = turn + 1
            turn = turn if n == lost else found
            done = Turn(start, ENDLESS, 0, n) if verb.startswith("killed") else Turn(start, end, found, n)
            events.changes[start, n] = done
        elif verb == "read":
            events.reads.append(Turn(start, end, turn, n))
        else:
            turn = 0
            events.resets.append((start, ENDLESS if verb.startswith("killed") else end))
    return Counter(events)


@given(st.lists(call, max_size=30))
def test_what_a_counter_can_do_is_clean(calls):
    counter = act(calls)
    assert not [*counter.wrong_changes(), *counter.wrong_reads()]


@given(st.lists(call.map(lambda drawn: ("change", *drawn[1:])), min_size=2, max_size=20), st.data())
def test_a_lost_change_is_found(calls, data):
    lost = data.draw(st.integers(0, len(calls) - 1))
    calls = [*calls, ("read", 50, 1, 0)]  # at rest
    counter = act(calls, lost=lost)
    assert [*counter.wrong_changes(), *counter.wrong_reads()]
