"""What comes between a read and its capture, a load and its fill, a lookup and its recheck: never a stale value afterwards.

Two managers with different settings on one directory have nothing in common but files: they stand for two processes.
"""

import pytest

from caching_core import SyncCacheManager
from caching_core.runtime import run_sync


@pytest.fixture
def managers(tmp_path):
    one = SyncCacheManager({"directory": tmp_path / "cache", "l1_max_size": 1000})
    two = SyncCacheManager({"directory": tmp_path / "cache", "l1_max_size": 1001})
    with one, two:
        yield one, two


@pytest.fixture
def caches(managers):
    return managers[0].tenant("acme"), managers[1].tenant("acme")


INVALIDATIONS = {
    "delete": lambda cache: cache.delete("k"),
    "tag": lambda cache: cache.invalidate_tags("red"),
    "clear": lambda cache: cache.clear(),
    "set": lambda cache: cache.set("k", "new"),
}


@pytest.mark.parametrize("how", INVALIDATIONS)
@pytest.mark.parametrize("who", [0, 1])
def test_a_value_loaded_before_an_invalidation_is_not_stored_after_it(caches, how, who):
    def load():
        INVALIDATIONS[how](caches[who])
        return "old"

    assert caches[0].get_or_set("k", load, tags=["red"]) == "old"
    expected = "new" if how == "set" else None
    for cache in caches:
        assert cache.get("k") == expected


@pytest.mark.parametrize("how", INVALIDATIONS)
@pytest.mark.parametrize("who", [0, 1])
def test_an_l1_hit_ends_with_an_invalidation_anywhere_on_the_host(caches, how, who):
    caches[0].get_or_set("k", lambda: "old", tags=["red"])
    assert [cache.get("k") for cache in caches] == ["old", "old"]
    INVALIDATIONS[how](caches[who])
    expected = "new" if how == "set" else None
    assert [cache.get("k") for cache in caches] == [expected, expected]


@pytest.mark.parametrize("how", ["delete", "tag", "clear"])
def test_a_row_read_before_an_invalidation_is_not_promoted_after_it(managers, caches, how):
    caches[1].set("k", "old", tags=["red"])
    engine = caches[0]._engine
    real = engine.store.get

    class Between:
        """The store, with an invalidation by the other between the read of a row and its promotion."""

        def __getattr__(self, name):
            return getattr(engine.store, name)

        async def get(self, name):
            blob = await real(name)
            INVALIDATIONS[how](caches[1])
            return blob

    reader = type(engine.read)(engine.state, Between())
    run_sync(reader.get(caches[0]._scope, "k", None))  # itself may see either: it began before the invalidation
    assert caches[0].get("k") is None
    assert caches[1].get("k") is None


def test_a_slot_that_was_purged_between_lookup_and_recheck_is_not_served(caches):
    cache = caches[0]
    cache.get_or_set("k", lambda: "old")
    entry = cache._entries["k"]
    cache._engine.state.memory.discard(cache._scope.partition, "k")
    assert not cache._again("k", entry)


def test_a_deleted_key_can_be_set_and_read_again(caches):
    for round_ in range(3):
        caches[0].set("k", round_)
        assert [cache.get("k") for cache in caches] == [round_, round_]
        caches[1].delete("k")
        assert [cache.get("k", "gone") for cache in caches] == ["gone", "gone"]


def test_a_set_after_a_tag_invalidation_is_not_taken_for_older(caches):
    for round_ in range(3):
        caches[0].invalidate_tags("red")
        caches[1].set("k", round_, tags=["red"])
        assert [cache.get("k") for cache in caches] == [round_, round_]


def test_an_entry_without_the_tag_outlives_the_tag(caches):
    caches[0].set("plain", 1)
    caches[0].set("red", 2, tags=["red"])
    caches[1].invalidate_tags("red")
    assert [caches[0].get("plain"), caches[0].get("red")] == [1, None]


def test_clear_all_ends_every_tenant(managers):
    managers[0].set("k", 1, tenant_id="a")
    managers[0].set("k", 2, tenant_id="b")
    assert managers[1].get("k", tenant_id="a") == 1
    managers[1].clear_all()
    assert [manager.get("k", tenant_id=tenant) for manager in managers for tenant in ("a", "b")] == [None] * 4


def test_the_stamp_file_replaced_under_us_empties_what_was_held(managers, caches, tmp_path):
    caches[0].get_or_set("k", lambda: "old")
    (tmp_path / "cache" / "stamps").unlink()
    other = SyncCacheManager({"directory": tmp_path / "cache", "l1_max_size": 1002})
    with other:
        other.tenant("acme").delete("k")
        for manager in managers:
            manager._opened().stamps.check()
        assert [cache.get("k") for cache in caches] == [None, None]
        caches[0].set("k", "new")
        assert other.tenant("acme").get("k") == "new"
