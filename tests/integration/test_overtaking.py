"""Threads that bind handles, tables that are replaced, writes that overtake each other: races made to happen."""

import threading

import pytest

from caching_core import SyncCacheManager
from caching_core.tiers.disk import DiskStore


def test_handles_are_bound_while_the_stamps_are_replaced(manager, directory):
    """Binding a handle and giving all handles a new table do not get into each other's way."""
    cache = manager()
    cache.tenant("acme").set("k", 1)
    instance = cache._opened()
    stop, failures = threading.Event(), []

    def bind():
        while not stop.is_set():
            other = SyncCacheManager({"directory": str(directory)})
            for number in range(50):
                other.tenant(f"t{number}")
            other.close()

    threads = [threading.Thread(target=bind) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20_000):
            instance._drop_all()
    except RuntimeError as error:
        failures.append(error)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert cache.tenant("acme").get("k") == 1


@pytest.fixture
def overtaken(manager, monkeypatch):
    """A cache in which a set that was sealed first arrived at the store last; both were acknowledged."""
    cache = manager().tenant("acme")
    cache.set("n", 1)
    cache.get("n")
    sealed, go = threading.Event(), threading.Event()
    mutate = DiskStore.mutate

    async def held_up(self, entries, ledger=()):
        if threading.current_thread() is late:
            sealed.set()
            assert go.wait(30)
        return await mutate(self, entries, ledger)

    monkeypatch.setattr(DiskStore, "mutate", held_up)
    skipped = []
    late = threading.Thread(target=lambda: skipped.extend(cache.set_many({"n": 100})))
    late.start()
    assert sealed.wait(30)
    cache.set("n", 5)
    assert cache.get("n") == 5
    go.set()
    late.join()
    assert skipped == []
    return cache


def test_of_two_sets_at_once_one_is_read(overtaken):
    assert overtaken.get("n") in (5, 100)


def test_a_counter_goes_on_from_one_of_two_sets_at_once(overtaken):
    assert overtaken.incr("n") in (6, 101)
