"""Every verb of the public API, in both worlds, on the levels that there are."""

import math

import pytest

from caching_core import CacheLevel
from caching_core.errors import KeyInvalid, NotSupported, ValueNotKept

LEVELS = {
    "both": {},
    "disk alone": {"l1_enabled": False},
    "memory alone": {"cache_levels": 1},
    "not sealed": {"security_enabled": False},
    "Redis": {"on_redis": True},
    "Redis alone": {"on_redis": True, "l1_enabled": False},
    "Redis, not sealed": {"on_redis": True, "security_enabled": False},
}


@pytest.fixture(params=LEVELS.values(), ids=LEVELS)
def settings(request, on_redis):
    given = dict(request.param)
    return given | on_redis() if given.pop("on_redis", False) else given


@pytest.fixture
def cache(open_cache, settings):
    return open_cache(**settings).tenant("acme")


VALUES = [None, False, 0, "", b"", 1.5, "text", b"bytes", [1, [2]], {"a": {"b": [1]}}, (1, "x"), {1, 2}, frozenset({3})]


@pytest.mark.parametrize("value", VALUES, ids=repr)
async def test_a_value_comes_back_as_it_was(world, cache, value):
    assert await cache.set("k", value) is True
    for _ in range(3):
        found = await cache.get("k", "missing")
        assert found == value
        assert type(found) is type(value)


async def test_a_miss_is_the_default(world, cache):
    assert await cache.get("nothing") is None
    default = object()
    assert await cache.get("nothing", default) is default


async def test_delete(world, cache):
    await cache.set("k", 1)
    assert await cache.get("k") == 1
    gone = await cache.delete("k")
    assert gone
    assert gone.count == 1
    assert not gone.pending
    assert await cache.get("k") is None
    assert not await cache.delete("k")


async def test_add_only_where_nothing_is(world, cache):
    assert await cache.add("k", 1) is True
    assert await cache.add("k", 2) is False
    assert await cache.get("k") == 1
    await cache.delete("k")
    assert await cache.add("k", 3) is True
    assert await cache.get("k") == 3


async def test_get_or_set_loads_once(world, cache):
    loads = []

    def load():
        loads.append(1)
        return {"loaded": len(loads)}

    assert await cache.get_or_set("k", load, ttl=60) == {"loaded": 1}
    assert await cache.get_or_set("k", load, ttl=60) == {"loaded": 1}
    assert await cache.get("k") == {"loaded": 1}
    await cache.delete("k")
    assert await cache.get_or_set("k", load, ttl=60) == {"loaded": 2}


async def test_many(world, cache):
    assert await cache.set_many({f"k{i}": i for i in range(50)}) == []
    assert await cache.get_many([f"k{i}" for i in range(55)]) == {f"k{i}": i for i in range(50)}
    assert await cache.get_many([]) == {}
    gone = await cache.delete_many([f"k{i}" for i in range(10)] + ["none", "k0"])
    assert gone.count == 10
    assert await cache.get_many([f"k{i}" for i in range(12)]) == {"k10": 10, "k11": 11}


async def test_touch_ttl_persist(world, cache):
    await cache.set("k", "v", ttl=1000)
    assert 990 < await cache.ttl("k") <= 1000
    assert await cache.touch("k", 50) is True
    assert 40 < await cache.ttl("k") <= 50
    assert await cache.persist("k") is True
    assert await cache.ttl("k") == math.inf
    assert await cache.get("k") == "v"
    assert await cache.touch("k", 0) is True
    assert await cache.get("k") is None
    assert await cache.ttl("k") is None
    assert await cache.touch("k") is False
    assert await cache.persist("k") is False


async def test_a_ttl_of_zero_is_over_and_none_is_for_ever(world, cache):
    await cache.set("k", 1)
    await cache.set("k", 2, ttl=0)
    assert await cache.get("k") is None
    await cache.set("k", 3, ttl=None)
    assert await cache.ttl("k") == math.inf


async def test_the_default_lifetime_is_the_configured_one(world, open_cache, settings):
    cache = open_cache(default_ttl=77, **settings).tenant("acme")
    await cache.set("k", 1)
    assert 70 < await cache.ttl("k") <= 77


async def test_counters(world, cache):
    assert await cache.incr("n") == 1
    assert await cache.incr("n", 9) == 10
    assert await cache.decr("n", 4) == 6
    assert await cache.get("n") == 6
    assert await cache.incr("absent", initial=None) is None
    assert await cache.get("absent") is None
    assert await cache.incr("from", 5, initial=100, ttl=30) == 105
    assert 20 < await cache.ttl("from") <= 30
    assert await cache.incr("from") == 106
    assert await cache.ttl("from") <= 30
    assert await cache.incr("n", 2**80) == 6 + 2**80


async def test_a_counter_needs_an_integer(world, cache):
    await cache.set("text", "5")
    with pytest.raises(ValueNotKept, match="incr and decr need an int") as caught:
        await cache.incr("text")
    assert "'text'" not in str(caught.value)
    assert await cache.get("text") == "5"


async def test_tags(world, cache):
    await cache.set("a", 1, tags=["red", "round"])
    await cache.set("b", 2, tags=["red"])
    await cache.set("c", 3, tags=["round"])
    await cache.set("d", 4)
    await cache.get_or_set("e", lambda: 5, tags=["red"])
    assert await cache.invalidate_tags("red")
    assert await cache.get_many(list("abcde")) == {"c": 3, "d": 4}
    await cache.set("a", 11, tags=["red"])
    assert await cache.get("a") == 11
    await cache.invalidate_tags("round", "red")
    assert await cache.get_many(list("abcde")) == {"d": 4}


async def test_one_call_invalidates_more_tags_than_an_entry_has(world, cache):
    tags = [f"tag-{number}" for number in range(1000)]
    await cache.set_many({"first": 1}, tags=tags[:1])
    await cache.set_many({"last": 2}, tags=tags[-1:])
    await cache.set("other", 3, tags=["tag-1000"])
    assert (await cache.invalidate_tags(*tags)).count == 1000
    assert await cache.get_many(["first", "last", "other"]) == {"other": 3}
    with pytest.raises(KeyInvalid, match="at most 1000 tags"):
        await cache.invalidate_tags(*tags, "tag-1000")
    assert await cache.get("other") == 3


async def test_tags_survive_changes_in_place(world, cache):
    await cache.set("n", 1, tags=["red"])
    assert await cache.incr("n") == 2
    await cache.touch("n", 500)
    await cache.invalidate_tags("red")
    assert await cache.get("n") is None


async def test_clear_is_of_one_namespace_and_tenant(world, open_cache, settings):
    manager = open_cache(**settings)
    mine, theirs = manager.tenant("acme"), manager.tenant("other")
    aside = manager.tenant("acme", namespace="aside")
    for cache in (mine, theirs, aside):
        await cache.set("k", 1, tags=["t"])
    assert await mine.clear()
    assert await mine.get("k") is None
    assert await aside.get("k") == 1
    assert await theirs.get("k") == 1
    await mine.set("k", 2)
    assert await mine.get("k") == 2
    await aside.invalidate_tags("t")  # the tenant's, whatever the namespace
    assert await aside.get("k") is None
    assert await theirs.get("k") == 1


async def test_clear_all(world, open_cache, settings):
    manager = open_cache(**settings)
    for tenant in ("acme", "other"):
        await manager.tenant(tenant).set("k", tenant)
    await manager.clear_all()
    for tenant in ("acme", "other"):
        assert await manager.tenant(tenant).get("k") is None
        await manager.tenant(tenant).set("k", "again")
        assert await manager.tenant(tenant).get("k") == "again"


async def test_tenants_whose_names_run_into_keys(world, open_cache, settings):
    manager = open_cache(**settings)
    await manager.tenant("a").set("b:c", "first")
    await manager.tenant("a-b").set("c", "second")
    await manager.tenant("a", namespace="b").set("c", "third")
    assert await manager.tenant("a").get("b:c") == "first"
    assert await manager.tenant("a-b").get("c") == "second"
    assert await manager.tenant("a", namespace="b").get("c") == "third"
    assert await manager.tenant("a").get("c") is None


async def test_the_managers_verbs_are_the_handles(world, open_cache, settings):
    manager = open_cache(**settings)
    assert await manager.set("k", 1, tenant_id="acme", ttl=100, tags=["t"])
    assert await manager.get("k", tenant_id="acme") == 1
    assert await manager.get("k", "none", tenant_id="other") == "none"
    assert await manager.get("k") is None
    assert await manager.get_or_set("l", lambda: 2, tenant_id="acme") == 2
    assert await manager.get_many(["k", "l"], tenant_id="acme") == {"k": 1, "l": 2}
    assert await manager.add("k", 5, tenant_id="acme") is False
    assert await manager.incr("n", tenant_id="acme") == 1
    assert await manager.decr("n", tenant_id="acme") == 0
    assert await manager.touch("k", 5, tenant_id="acme")
    assert await manager.ttl("k", tenant_id="acme") <= 5
    assert await manager.persist("k", tenant_id="acme")
    assert await manager.set_many({"x": 1}, tenant_id="acme") == []
    assert (await manager.explain("k", tenant_id="acme")).hit
    await manager.invalidate_tags("t", tenant_id="acme")
    assert await manager.get("k", tenant_id="acme") is None
    assert await manager.delete("x", tenant_id="acme")
    assert (await manager.delete_many(["l", "n"], tenant_id="acme")).count == 2
    assert await manager.clear(tenant_id="acme")
    stats = await manager.stats()
    assert stats.sets > 0
    assert stats.hits > 0


async def test_explain(world, open_cache, settings):
    cache = open_cache(**settings).tenant("acme")
    absent = await cache.explain("k")
    assert not absent.hit
    assert absent.level is None
    assert "absent" in absent.reason
    await cache.set("k", "v" * 100, ttl=100, tags=["t"])
    await cache.get("k")
    found = await cache.explain("k")
    assert found.hit
    assert found.level is (CacheLevel.L2 if settings.get("l1_enabled") is False else CacheLevel.L1)
    assert 90 < found.ttl <= 100
    assert found.tags == ("t",)
    assert found.sealed is ("cache_levels" not in settings and settings.get("security_enabled", True))
    await cache.invalidate_tags("t")
    assert "invalidated" in (await cache.explain("k")).reason
    assert found.as_dict()["key"] == "k"


async def test_high_security_stays_out_of_memory(world, open_cache):
    cache = open_cache().tenant("acme")
    await cache.set("k", "secret", security_level="high")
    assert await cache.get("k") == "secret"
    assert (await cache.explain("k")).level is CacheLevel.L2
    assert "out of memory" in (await cache.explain("k")).reason


async def test_read_only(world, open_cache):
    await open_cache().tenant("acme").set("k", 1)
    cache = open_cache(read_only=True).tenant("acme")
    assert await cache.get("k") == 1
    for call in (cache.set("k", 2), cache.delete("k"), cache.clear(), cache.invalidate_tags("t"), cache.incr("k")):
        with pytest.raises(NotSupported, match="read_only"):
            await call
    assert await cache.get("k") == 1


@pytest.mark.parametrize("strict", [False, True])
async def test_a_cache_that_only_reads_makes_no_key_for_a_tenant_and_misses(world, open_cache, strict):
    await open_cache().tenant("acme").set("k", 1)
    reader = open_cache(read_only=True, strict=strict)
    cache = reader.tenant("new")
    assert await cache.get("k", "default") == "default"
    assert await cache.get_many(["k"]) == {}
    assert await cache.ttl("k") is None
    assert await cache.get_or_set("k", lambda: 2) == 2
    assert "has no key" in (await cache.explain("k")).reason
    assert (await reader.stats()).unavailable == 0
    await open_cache().tenant("new").set("k", 3)
    assert await cache.get("k") == 3


async def test_both_worlds_share_one_memory(manager, directory):
    from caching_core import CacheManager

    blocking, loop = manager(), CacheManager({"directory": str(directory)})
    async with loop:
        await loop.tenant("acme").set("k", 1)
        assert blocking.tenant("acme").get("k") == 1
        before = blocking.stats().hits_l1
        assert await loop.tenant("acme").get("k") == 1
        assert blocking.stats().hits_l1 == before + 1
        blocking.tenant("acme").delete("k")
        assert await loop.tenant("acme").get("k") is None
