"""Health is checked when it is asked for, and again and again where that is wanted."""

import threading

import pytest

from caching_core import CacheManager, HealthChecker, SyncCacheManager
from caching_core.errors import CacheError, TierUnavailable
from caching_core.tiers.disk import DiskStore


@pytest.fixture
def settings(tmp_path):
    return {"directory": str(tmp_path / "cache")}


class Store:
    """Whether the store answers, and each time that it was asked."""

    def __init__(self):
        self.is_away = False
        self.asked = threading.Semaphore(0)

    def wait(self, turns):
        for _ in range(turns):
            assert self.asked.acquire(timeout=20)


@pytest.fixture
def store(monkeypatch):
    """Switch the store's answers off and on, and see when it is asked."""
    found = Store()
    real = DiskStore.get

    async def get(store, name):
        found.asked.release()
        if found.is_away:
            raise TierUnavailable("away")
        return await real(store, name)

    monkeypatch.setattr(DiskStore, "get", get)
    return found


async def test_a_check_on_demand(settings, store):
    async with CacheManager(settings) as manager:
        checker = HealthChecker(manager)
        assert checker.last is None
        assert (await checker.check()).is_healthy
        store.is_away = True
        assert not (await checker.check()).is_healthy
        assert not checker.last.is_healthy


async def test_a_blocking_manager_can_be_checked(settings):
    with SyncCacheManager(settings) as manager:
        assert (await HealthChecker(manager).check()).status == "ok"


def test_the_thread_tells_of_changes_only(settings, store):
    told = []
    with SyncCacheManager(settings) as manager:
        checker = HealthChecker(manager, interval=0.005, on_change=lambda health: told.append(health.status))
        checker.start()
        try:
            for is_away in (False, True, False):
                store.is_away = is_away
                store.wait(turns=4)
        finally:
            checker.stop()
        assert told == ["ok", "degraded", "ok"]
        assert not [thread for thread in threading.enumerate() if thread.name == "caching-health"]
        assert manager.health().status == "ok"


def test_a_stopped_checker_keeps_no_cache_open(settings):
    manager = SyncCacheManager(settings).start()
    engine = manager._opened()
    checker = HealthChecker(manager)
    checker.start()
    checker.stop()
    manager.close()
    with pytest.raises(CacheError, match="closed"):
        engine.ensure_upkeep()


def test_the_interval_is_that_of_the_settings(settings):
    manager = SyncCacheManager({**settings, "health_check_interval": 7})
    assert HealthChecker(manager)._worker._interval == 7
    assert HealthChecker(manager, interval=0.5)._worker._interval == 0.5
