"""Keys, patterns and namespaces as a read would find them, on the levels that there are."""

import pytest

from caching_core.audit import tail

LEVELS = [{}, {"l1_enabled": False}, {"cache_levels": 1}, {"security_enabled": False}, {"key_privacy": "hashed"}]
ODD = ["a b", "a*b", "a[1]", "~x", "é", "a" * 300, "cc:{acme}:default:x", "%41"]


@pytest.fixture(params=LEVELS, ids=["both", "disk alone", "memory alone", "not sealed", "hashed"])
def opened(open_cache, request):
    return open_cache(**request.param)


async def all_keys(cache, pattern="*", limit=500):
    found, after = [], ""
    while after is not None:
        page = await cache.key_page(pattern, after=after, limit=limit)
        found += page.keys
        after = page.after
    return sorted(found)


async def test_keys_are_listed_as_they_were_written(world, opened):
    cache = opened.tenant("acme")
    for key in ODD:
        await cache.set(key, 1)
    assert await all_keys(cache) == sorted(ODD)
    assert await all_keys(cache, limit=2) == sorted(ODD)
    assert await all_keys(opened.tenant("globex")) == []
    assert await all_keys(opened.tenant("acme", namespace="other")) == []


async def test_what_a_read_would_miss_is_not_listed(world, opened):
    cache = opened.tenant("acme")
    await cache.set("over", 1, ttl=0)
    await cache.set("gone", 1)
    await cache.delete("gone")
    await cache.set("tagged", 1, tags=["t"])
    await cache.invalidate_tags("t")
    assert await all_keys(cache) == []
    await cache.set("before", 1)
    await cache.clear()
    await cache.set("after", 1)
    assert await all_keys(cache) == ["after"]


async def test_a_pattern_has_two_wild_characters_and_no_more(world, opened):
    cache = opened.tenant("acme")
    for key in ODD:
        await cache.set(key, 1)
    assert await all_keys(cache, "a?b") == ["a b", "a*b"]
    assert await all_keys(cache, "a[1]") == ["a[1]"]
    assert await all_keys(cache, "a[12]") == []
    assert await all_keys(cache, "é") == ["é"]


async def test_a_pattern_is_deleted_and_the_rest_stays(world, opened):
    cache, other = opened.tenant("acme"), opened.tenant("globex")
    for handle in (cache, other):
        for number in range(7):
            await handle.set(f"user:{number}", number)
        await handle.set("label:1", 1)
    assert (await cache.delete_pattern("user:*")).count == 7
    assert await all_keys(cache) == ["label:1"]
    assert len(await all_keys(other)) == 8
    assert not await cache.delete_pattern("user:*")


def test_a_deleted_pattern_is_recorded(manager, directory):
    cache = manager().tenant("acme")
    cache.set("a", 1)
    cache.delete_pattern("*")
    assert manager().flush_audit()
    assert [record.count for record in tail(directory) if record.action == "pattern_deleted"] == [1]


async def test_namespaces_are_those_of_the_tenant(world, opened):
    for namespace in ("default", "default@v2", "default@v10", "default.custom", "defaults", "x y", "x:y"):
        await opened.tenant("acme", namespace=namespace).set("k", 1)
    await opened.tenant("globex", namespace="default@v3").set("k", 1)
    cache = opened.tenant("acme")
    assert await cache.namespaces("default@v") == ["default@v10", "default@v2"]
    assert await cache.namespaces("x") == ["x y", "x:y"]
    assert set(await cache.namespaces()) >= {"default", "default@v2", "default@v10", "default.custom", "defaults", "x y", "x:y"}


async def test_namespaces_of_other_processes_are_found(world, open_cache, peer):
    other = peer(
        "cache = SyncCacheManager({'directory': str(DIRECTORY)}).tenant('acme', namespace='a@v7')\ncache.set('k', 1)\nsay('done')\n"
    )
    assert other.hear() == "done"
    cache = open_cache().tenant("acme")
    assert await cache.namespaces("a@v") == ["a@v7"]
    assert await cache.namespaces("b") == []
