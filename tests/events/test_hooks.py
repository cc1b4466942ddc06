"""Hooks: order, isolation, leaving, threads."""

import dataclasses
import logging
import threading

import pytest

from caching_core import events
from caching_core.events import AccessRefused, Cleared, ConfigNote, EntryRefused, Event, Hooks, TierLost

KINDS = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)]


def test_everybody_is_told_in_order():
    hooks, seen = Hooks(), []
    hooks.subscribe(lambda event: seen.append(("first", event)))
    hooks.subscribe(lambda event: seen.append(("second", event)))
    note = ConfigNote("hello")
    hooks.emit(note)
    assert seen == [("first", note), ("second", note)]


def test_nobody_listening_is_false_and_harmless():
    hooks = Hooks()
    assert not hooks
    hooks.emit(ConfigNote("hello"))
    leave = hooks.subscribe(lambda event: None)
    assert hooks
    leave()
    leave()
    assert not hooks


def test_one_hook_can_subscribe_twice_and_leave_once():
    hooks, seen = Hooks(), []
    leave = hooks.subscribe(seen.append)
    hooks.subscribe(seen.append)
    leave()
    hooks.emit(ConfigNote("hello"))
    assert len(seen) == 1


def test_a_subscriber_that_raises_harms_nobody_and_is_logged_once(caplog):
    hooks, seen = Hooks(), []

    def broken(event: Event) -> None:
        raise RuntimeError("listener")

    hooks.subscribe(broken)
    hooks.subscribe(seen.append)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            hooks.emit(TierLost("l2", "gone"))
    assert len(seen) == 3
    assert [record.message for record in caplog.records] == ["a subscriber raised on TierLost; further errors of it are not logged"]


def test_a_subscriber_may_leave_while_it_is_called():
    hooks, seen = Hooks(), []
    leaving = []

    def once(event: Event) -> None:
        seen.append(event)
        leaving[0]()

    leaving.append(hooks.subscribe(once))
    hooks.subscribe(seen.append)
    hooks.emit(ConfigNote("a"))
    hooks.emit(ConfigNote("b"))
    assert [event.message for event in seen] == ["a", "a", "b"]


def test_threads_come_and_go_while_others_emit():
    hooks, count = Hooks(), []
    hooks.subscribe(count.append)
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            hooks.subscribe(lambda event: None)()

    threads = [threading.Thread(target=churn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(2000):
        hooks.emit(ConfigNote("x"))
    stop.set()
    for thread in threads:
        thread.join(10)
    assert len(count) == 2000


def test_keys_and_actors_do_not_show_in_a_repr():
    assert "user:7" not in repr(EntryRefused(tenant="acme", namespace="default", key="user:7", reason="tag"))
    refused = AccessRefused(tenant="acme", namespace="default", permission="read", actor_type="user", actor="bob", key="user:7")
    assert "bob" not in repr(refused)
    assert "user:7" not in repr(refused)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_events_are_frozen_slotted_and_documented(kind):
    assert kind.__doc__
    assert kind.__doc__.count("\n") == 0
    assert not kind.__doc__.startswith(f"{kind.__name__}(")
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen
    assert "__slots__" in vars(kind)


def test_events_compare_by_what_they_say():
    assert Cleared(tenant="a", namespace="b") == Cleared(tenant="a", namespace="b")
    assert events.Stopped() != events.Started()
