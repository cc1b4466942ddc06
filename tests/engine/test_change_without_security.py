"""Compare-and-swap must tell two plain frames apart, although nothing seals them."""

import threading

import pytest

from caching_core import SyncCacheManager


@pytest.mark.parametrize("security", [True, False])
def test_no_increment_is_lost_between_threads_of_two_managers(tmp_path, security):
    settings = {"directory": tmp_path / "cache", "security_enabled": security}
    with SyncCacheManager({**settings, "l1_max_size": 10}) as one, SyncCacheManager({**settings, "l1_max_size": 11}) as two:
        caches = [manager.tenant("acme") for manager in (one, two)]
        caches[0].set("n", 0)

        def work(cache):
            for _ in range(100):
                cache.incr("n")

        threads = [threading.Thread(target=work, args=(cache,)) for cache in caches for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [cache.get("n") for cache in caches] == [600, 600]
