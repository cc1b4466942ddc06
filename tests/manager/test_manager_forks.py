"""A fork while another thread is inside the manager: the child goes on."""

import os
import signal
import threading

import pytest

from caching_core import SyncCacheManager
from caching_core.assembly import _process
from caching_core.manager import _opened


@pytest.fixture
def directory(tmp_path):
    return str(tmp_path / "cache")


def succeeds_in_a_child(work):
    """Run ``work`` in a child that is killed after 20 seconds; tell whether it ended well."""
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


@pytest.fixture
def held():
    """Hold a lock in another thread until the end of the test: ``held(lock)``."""
    leave = threading.Event()
    threads = []

    def hold(lock):
        inside = threading.Event()

        def run():
            with lock:
                inside.set()
                leave.wait(60)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        assert inside.wait(20)

    yield hold
    leave.set()
    for thread in threads:
        thread.join()


def test_a_child_forked_during_the_first_use_opens_the_cache_itself(directory, monkeypatch):
    opening, go_on = threading.Event(), threading.Event()
    acquire = _opened.acquire

    def slowly(config, keep, **given):
        opening.set()
        assert go_on.wait(60)
        return acquire(config, keep, **given)

    monkeypatch.setattr(_opened, "acquire", slowly)
    manager = SyncCacheManager({"directory": directory})
    first_use = threading.Thread(target=manager.set, args=("k", 1))
    first_use.start()
    assert opening.wait(20)

    def use():
        go_on.set()
        assert manager.set("mine", 2)
        assert manager.get("mine") == 2
        manager.close()

    assert succeeds_in_a_child(use)
    go_on.set()
    first_use.join()
    assert manager.get("k") == 1
    manager.close()


def test_a_fork_waits_for_an_opening_and_the_child_knows_what_it_was_for(directory, monkeypatch):
    opening, go_on = threading.Event(), threading.Event()
    made = _process.Instance

    def slowly(config, **given):
        opening.set()
        assert go_on.wait(60)
        return made(config, **given)

    monkeypatch.setattr(_process, "Instance", slowly)
    manager = SyncCacheManager({"directory": directory})
    first_use = threading.Thread(target=manager.start)
    first_use.start()
    assert opening.wait(20)

    def use():
        (shared,) = [each for each in _process._registry._shared.values() if each.instance is manager.start()._instance]
        assert shared.users == 1
        manager.close()
        assert shared not in _process._registry._shared.values()

    threading.Timer(0.2, go_on.set).start()
    assert succeeds_in_a_child(use)
    first_use.join()
    manager.close()


@pytest.mark.parametrize("which", ["manager", "tenants"])
def test_a_child_does_not_wait_for_a_thread_that_it_does_not_have(directory, held, which):
    manager = SyncCacheManager({"directory": directory})
    held(manager._mutex if which == "manager" else manager._policy._lock)

    def use():
        assert manager.set("k", which, tenant_id=which)
        assert manager.get("k", tenant_id=which) == which
        manager.close()

    assert succeeds_in_a_child(use)


def test_a_strategy_is_registered_without_a_lock(directory):
    """A lock could be inherited held; there is none."""
    manager = SyncCacheManager({"directory": directory})
    strategies = manager.start()._instance.state.strategies
    assert not any(hasattr(getattr(strategies, name), "acquire") for name in type(strategies).__slots__)
    manager.close()
