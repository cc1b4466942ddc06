"""What a closed cache has given back."""

import gc
import os

from caching_core import SyncCacheManager


def descriptors() -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  names are numbers here, not paths
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))  # noqa: PTH115  it leads to no path
        except FileNotFoundError:  # the one that listed them
            continue
    return found


def use(settings: dict[str, object]) -> None:
    with SyncCacheManager(settings) as manager:
        cache = manager.tenant("acme")
        cache.set("k", "v", tags=["t"])
        cache.invalidate_tags("t")
        assert cache.get("k") is None


def test_the_databases_are_closed_with_the_cache(tmp_path):
    use({"directory": tmp_path / "cache"})
    assert [path for path in descriptors() if path.startswith(str(tmp_path)) and not path.endswith("/stamps")] == []


def test_a_cache_that_was_opened_and_closed_often_leaves_no_descriptor(tmp_path):
    use({"directory": tmp_path / "first"})
    use({"cache_levels": 1})
    gc.collect()
    before = len(descriptors())
    for number in range(5):
        use({"directory": tmp_path / f"cache{number}"})
        use({"cache_levels": 1, "l1_max_size": 10 + number})
    gc.collect()
    assert len(descriptors()) <= before
