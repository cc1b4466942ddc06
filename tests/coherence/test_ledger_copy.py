"""The copy of a ledger: learns in place, never backwards, never across epochs, and waits for nobody."""

import pytest

from caching_core.coherence import LedgerCopy, Verdict
from caching_core.tiers import Ledger

HERE = (1.0, 2.0)


@pytest.fixture
def copy():
    """A copy that knows the tag "red" as raised to 7 under the mark 20.0."""
    return LedgerCopy().learn(Ledger(b"one", 9, 0, {"t:red": 7, "n:ns": 3}), HERE, "ns", [("red", 20.0)])


def test_what_is_learnt_is_added_and_not_copied(copy):
    later = copy.learn(Ledger(b"one", 10, 0, {"t:blue": 10}), HERE, "ns", [("blue", 30.0)])
    assert later._fields is copy._fields
    assert later.seq == 10
    for each in (copy, later):
        assert each.knows(HERE, "ns", [("red", 20.0), ("blue", 30.0)])
        assert each.judge(b"one", 8, "ns", ["red"]) is Verdict.VALID
        assert each.judge(b"one", 8, "ns", ["blue"]) is Verdict.INVALIDATED


def test_an_answer_that_comes_late_takes_nothing_back(copy):
    """Read before another's touch, learnt after that other has learnt the new value: who judges by the new one goes on doing so."""
    assert copy.knows(HERE, "ns", [("red", 20.0)])
    late = copy.learn(Ledger(b"one", 6, 0, {"t:red": 5, "n:ns": 1}), HERE, "ns", [("red", 10.0)])
    assert copy.judge(b"one", 6, "ns", ["red"]) is Verdict.INVALIDATED
    assert late.judge(b"one", 6, "ns", ["red"]) is Verdict.INVALIDATED
    assert not late.knows(HERE, "ns", [("red", 10.0)])
    assert late.least_seq("ns") == 3


@pytest.mark.parametrize(("epoch", "guard"), [(b"two", HERE), (b"one", (1.5, 2.0))], ids=["epoch", "tenant"])
def test_a_new_epoch_or_tenant_mark_begins_anew_and_leaves_the_old_copy_alone(copy, epoch, guard):
    new = copy.learn(Ledger(epoch, 1, 0, {"t:red": 1}), guard, "ns", [("red", 20.0)])
    assert new.judge(epoch, 2, "ns", ["red"]) is Verdict.VALID
    assert new.knows(guard, "ns", [("red", 20.0)])
    assert new.knows(HERE, "ns", []) is (guard == HERE)
    assert copy.knows(HERE, "ns", [("red", 20.0)])
    assert copy.judge(b"one", 6, "ns", ["red"]) is Verdict.INVALIDATED


def test_a_copy_that_grew_large_begins_anew(copy, monkeypatch):
    monkeypatch.setattr("caching_core.coherence._ledger._MOST_FIELDS", 8)
    for number in range(20):
        copy = copy.learn(Ledger(b"one", 9, 0, {}), HERE, "ns", [(f"t{number}", 1.0)])
        assert copy.knows(HERE, "ns", [(f"t{number}", 1.0)])
    assert len(copy._fields) <= 10


def test_who_finds_another_adding_copies_and_does_not_wait(copy):
    """As in a child that was forked while a thread of its parent was adding."""
    copy._adding.acquire()
    later = copy.learn(Ledger(b"one", 10, 0, {}), HERE, "ns", [("blue", 30.0)])
    assert later._fields is not copy._fields
    assert later.knows(HERE, "ns", [("red", 20.0), ("blue", 30.0)])
    assert later.learn(Ledger(b"one", 10, 0, {}), HERE, "ns", [])._fields is later._fields
