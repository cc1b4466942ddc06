"""Loads that wait for each other: never for ever, and never in a queue where nothing is kept."""

import asyncio
import threading

import pytest

from caching_core import CacheManager, SyncCacheManager


@pytest.fixture
def settings(tmp_path):
    return {"directory": tmp_path / "cache"}


@pytest.mark.timeout(20)
def test_a_loader_that_asks_for_its_own_key_loads_instead_of_waiting_for_itself(settings):
    with SyncCacheManager(settings) as manager:
        cache = manager.tenant("acme")
        assert cache.get_or_set("k", lambda: cache.get_or_set("k", lambda: 7) + 1) == 8
        assert cache.get("k") == 8


@pytest.mark.timeout(20)
def test_a_blocking_call_on_the_loops_thread_does_not_wait_for_a_task_of_that_loop(settings):
    blocking = SyncCacheManager(settings).start()

    async def main():
        async with CacheManager(settings) as manager:
            cache, started, go_on = manager.tenant("acme"), asyncio.Event(), asyncio.Event()

            async def load():
                started.set()
                await go_on.wait()
                return "leader's"

            task = asyncio.create_task(cache.get_or_set("k", load))
            await started.wait()
            assert blocking.tenant("acme").get_or_set("k", lambda: "own") == "own"
            go_on.set()
            assert await task == "leader's"

    asyncio.run(main())
    blocking.close()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("options", [{"ttl": 0}, {"strategy": "never"}])
def test_callers_of_what_is_not_kept_load_side_by_side(settings, options):
    class Never:
        def should_cache(self, key, value, context):
            return False

        def calculate_ttl(self, key, value, context):
            return 1

    with SyncCacheManager(settings) as manager:
        manager.register_strategy("never", Never())
        cache, callers = manager.tenant("acme"), 6
        together = threading.Barrier(callers - 1)  # all but the leader must be loading at once
        first = threading.Event()

        def load():
            if not first.is_set():
                first.set()
                while (
                    cache._engine.state.flights._flights
                    and len(next(iter(cache._engine.state.flights._flights.values()))._waiters) < callers - 1
                ):
                    pause.wait(0.001)
                return 0
            together.wait(20)
            return 1

        pause = threading.Event()
        results = []
        threads = [threading.Thread(target=lambda: results.append(cache.get_or_set("k", load, **options))) for _ in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(results) == [0] + [1] * (callers - 1)


def test_the_error_of_a_loader_reaches_all_and_its_trace_does_not_grow(settings):
    with SyncCacheManager(settings) as manager:
        cache, errors, callers = manager.tenant("acme"), [], 5
        gate = threading.Barrier(callers)
        shared = ValueError("no")

        def load():
            raise shared

        def call():
            gate.wait(20)
            try:
                cache.get_or_set("k", load)
            except ValueError as error:
                errors.append(error)

        threads = [threading.Thread(target=call) for _ in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == [shared] * callers
        assert cache.get_or_set("k", lambda: 1) == 1
