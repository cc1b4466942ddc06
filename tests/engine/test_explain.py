"""explain agrees with get, and says where, how and why."""

from dataclasses import dataclass

import pytest

from caching_core import CacheLevel, SyncCacheManager
from caching_core.serializers import BaseSerializer


@pytest.fixture
def cache(tmp_path):
    with SyncCacheManager({"directory": tmp_path / "cache"}) as manager:
        yield manager.tenant("acme")


def test_a_value_on_disk_then_in_memory(cache):
    cache.set("k", {"a": 1}, ttl=100, tags=["red"])
    on_disk = cache.explain("k")
    assert (on_disk.hit, on_disk.level, on_disk.sealed, on_disk.tags, on_disk.serializer) == (
        True,
        CacheLevel.L2,
        True,
        ("red",),
        "msgpack",
    )
    assert 99 < on_disk.ttl <= 100
    cache.get("k")
    assert cache.explain("k").level is CacheLevel.L1


def test_a_slot_whose_row_is_gone_is_a_hit_as_get_says(cache):
    cache.get_or_set("k", lambda: 1)
    engine = cache._engine
    from caching_core.runtime import run_sync
    from caching_core.tiers import Delete

    run_sync(engine.store.mutate([Delete("cc:{acme}:default:k")]))  # without a touch: as an eviction on disk would
    assert cache.get("k") == 1
    found = cache.explain("k")
    assert (found.hit, found.level) == (True, CacheLevel.L1)
    assert "no row" in " ".join(found.notes)


class Text(BaseSerializer):
    def __init__(self, fault=None):
        self.fault = fault

    def serialize(self, obj):
        return str(obj).encode()

    def deserialize(self, data):
        if self.fault is not None:
            raise self.fault
        return data.decode()


@dataclass
class Point:
    x: int


@pytest.mark.parametrize("l1", [True, False])
def test_a_value_that_is_not_known_here_is_a_miss_with_its_reason(tmp_path, l1):
    with SyncCacheManager({"directory": tmp_path / "cache"}) as writer:
        writer.register_serializer("text", Text())
        writer.register_class(Point)
        cache = writer.tenant("acme")
        cache.set("own", "value", serializer="text")
        cache.set("class", Point(1))
        assert (cache.explain("own").hit, cache.explain("own").serializer, cache.explain("class").hit) == (True, "text", True)
        assert (cache.get("own"), cache.get("class")) == ("value", Point(1))
    with SyncCacheManager({"directory": tmp_path / "cache", "l1_enabled": l1}) as reader:
        cache = reader.tenant("acme")
        for key, word in (("own", "register_serializer"), ("class", "register_class")):
            found = cache.explain(key)
            assert (found.hit, found.level, found.reason.partition(":")[0]) == (False, None, "refused")
            assert word in found.reason
            assert cache.get(key) is None
        reader.register_serializer("text", Text(ValueError("broken")))
        assert "does not make a value" in cache.explain("own").reason
        assert cache.get("own") is None


def test_a_slot_whose_row_is_refused_is_a_hit_as_get_says(tmp_path):
    with SyncCacheManager({"directory": tmp_path / "cache"}) as manager:
        manager.register_serializer("text", Text())
        cache = manager.tenant("acme")
        cache.set("k", "value", serializer="text")
        assert cache.get("k") == "value"
        manager.register_serializer("text", Text(ValueError("broken")))
        found = cache.explain("k")
        assert (found.hit, found.level) == (True, CacheLevel.L1)
        assert "refused: value" in " ".join(found.notes)
        assert cache.get("k") == "value"


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda cache: cache.delete("k"), "absent"),
        (lambda cache: cache.invalidate_tags("red"), "invalidated"),
        (lambda cache: cache.clear(), "invalidated"),
    ],
)
def test_a_miss_says_why(cache, end, reason):
    cache.set("k", 1, tags=["red"])
    end(cache)
    found = cache.explain("k")
    assert not found.hit
    assert found.reason.startswith(reason)
    assert cache.get("k") is None


def test_what_runs_in_place_of_a_policy_is_told(tmp_path):
    with SyncCacheManager({"directory": tmp_path / "cache", "l1_policy": "adaptive"}) as manager:
        cache = manager.tenant("acme")
        cache.set("k", 1)
        assert "adaptive" in " ".join(cache.explain("k").notes)
        assert cache.explain("k").policy == "s3fifo"


def test_explaining_counts_and_keeps_nothing(cache):
    cache.set("k", 1)
    before = cache._scope.counts
    figures = (before.hits_l2, before.misses)
    cache.explain("k")
    cache.explain("absent")
    assert (before.hits_l2, before.misses) == figures
    assert "k" not in cache._entries
