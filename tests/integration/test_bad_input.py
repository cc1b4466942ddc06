"""Bad input: the right error, a message that says what, which and what to do, and nothing half-written."""

import math

import pytest

from caching_core import CacheLevel, SyncCacheManager, SyncTenantAwareCacheManager, TenantAwareCacheManager, use_tenant
from caching_core.errors import (
    CacheError,
    ConfigInvalid,
    KeyInvalid,
    TenantUnknown,
    TTLInvalid,
    ValueNotKept,
    ValueTooLarge,
)


@pytest.fixture
def manager_of_world(open_cache):
    return open_cache(max_value_bytes=100_000)


async def unchanged(manager, call, error, *words):
    """Make the call; it raises, its message has the words, and the store holds what it held."""
    cache = manager.tenant("acme")
    await cache.set("before", "as it was", tags=["t"])
    stats = await manager.stats()
    with pytest.raises(error) as caught:
        await call(cache)
    message = str(caught.value)
    for word in words:
        assert word in message, message
    after = await manager.stats()
    assert (after.l2_entries, after.l2_bytes) == (stats.l2_entries, stats.l2_bytes)
    assert await cache.get("before") == "as it was"
    return message


BAD_KEYS = [
    (5, "int"),
    (None, "NoneType"),
    (b"k", "bytes"),
    ("", "1 to 2048"),
    ("x" * 2049, "2049"),
    ("\ud800", "surrogate"),
    (["k"], "list"),
]


def with_key(verb, key):
    calls = {
        "set": lambda cache: cache.set(key, 1),
        "add": lambda cache: cache.add(key, 1),
        "get_or_set": lambda cache: cache.get_or_set(key, lambda: pytest.fail("loaded")),
        "get_many": lambda cache: cache.get_many(["good", key]),
        "delete_many": lambda cache: cache.delete_many(["before", key]),
        "set_many": lambda cache: cache.set_many({"good": 1, key: 2}),
    }
    return calls.get(verb, lambda cache: getattr(cache, verb)(key))


@pytest.mark.parametrize(
    "verb",
    [
        "get",
        "set",
        "add",
        "delete",
        "get_or_set",
        "touch",
        "persist",
        "ttl",
        "incr",
        "decr",
        "explain",
        "get_many",
        "delete_many",
        "set_many",
    ],
)
async def test_a_bad_key(world, manager_of_world, verb):
    for key, word in BAD_KEYS:
        if verb != "set_many" or not isinstance(key, list):
            await unchanged(manager_of_world, with_key(verb, key), KeyInvalid, "key", word)


@pytest.mark.parametrize("verb", ["get_many", "delete_many"])
async def test_what_is_no_list_of_keys(world, manager_of_world, verb):
    for keys in ("before", b"before", bytearray(b"before"), None, 5, True, object()):
        call = lambda cache, keys=keys: getattr(cache, verb)(keys)  # noqa: E731 -- as below
        await unchanged(manager_of_world, call, KeyInvalid, "list of str", type(keys).__name__, '["…"]')


async def test_what_is_no_mapping_of_values(world, manager_of_world):
    for values in ([("a", 1)], "before", None, 5, {"a"}):
        call = lambda cache, values=values: cache.set_many(values)  # noqa: E731 -- as below
        await unchanged(manager_of_world, call, ValueNotKept, "mapping", type(values).__name__)


def with_ttl(verb, ttl):
    return {
        "set": lambda cache: cache.set("before", 1, ttl=ttl),
        "set_many": lambda cache: cache.set_many({"a": 1, "before": 2}, ttl=ttl),
        "add": lambda cache: cache.add("new", 1, ttl=ttl),
        "get_or_set": lambda cache: cache.get_or_set("new", lambda: pytest.fail("loaded"), ttl=ttl),
        "touch": lambda cache: cache.touch("before", ttl),
        "incr": lambda cache: cache.incr("n", ttl=ttl),
    }[verb]


@pytest.mark.parametrize("verb", ["set", "set_many", "add", "get_or_set", "touch", "incr"])
async def test_a_bad_lifetime(world, manager_of_world, verb):
    for ttl in (-1, -0.001, math.nan, math.inf, -math.inf, 1e9, "60", True, [1]):
        await unchanged(manager_of_world, with_ttl(verb, ttl), TTLInvalid, "ttl", "None")


async def test_a_bad_stale_period(world, manager_of_world):
    for stale in (-1, math.nan, "5"):
        await unchanged(manager_of_world, lambda cache, stale=stale: cache.set("k", 1, stale_ttl=stale), TTLInvalid, "stale_ttl")


class Local:
    """Of no kind that the cache knows."""


UNKEEPABLE = (object(), Local(), lambda: 1, {"deep": [1, {"er": Local()}]}, (x for x in ()), open)


def with_value(verb, value):
    return {
        "set": lambda cache: cache.set("before", value),
        "set_many": lambda cache: cache.set_many({"a": 1, "before": value}),
        "add": lambda cache: cache.add("new", value),
        "get_or_set": lambda cache: cache.get_or_set("new", lambda: value),
    }[verb]


@pytest.mark.parametrize("verb", ["set", "set_many", "add", "get_or_set"])
async def test_a_value_that_cannot_be_kept(world, manager_of_world, verb):
    for value in UNKEEPABLE:
        message = await unchanged(manager_of_world, with_value(verb, value), ValueNotKept)
        assert len(message) > 20
    cache = manager_of_world.tenant("acme")
    assert await cache.get_or_set("new", lambda: "loaded after all") == "loaded after all"


async def test_a_value_that_is_too_large(world, manager_of_world):
    for call in (
        lambda cache: cache.set("before", "x" * 200_000),
        lambda cache: cache.set_many({"a": 1, "before": "x" * 200_000}),
        lambda cache: cache.get_or_set("new", lambda: "x" * 200_000),
    ):
        await unchanged(manager_of_world, call, ValueTooLarge, "100000")


async def test_bad_tags(world, manager_of_world):
    for tags in ("text", b"bytes", [1], ["@own"], [""], ["x" * 251], [f"t{i}" for i in range(33)], 5):
        await unchanged(manager_of_world, lambda cache, tags=tags: cache.set("before", 1, tags=tags), KeyInvalid, "tag")
        load = lambda cache, tags=tags: cache.get_or_set("new", lambda: pytest.fail("loaded"), tags=tags)  # noqa: E731 -- as above
        await unchanged(manager_of_world, load, KeyInvalid, "tag")


async def test_a_bad_option(world, manager_of_world):
    await unchanged(manager_of_world, lambda cache: cache.set("before", 1, security_level="top"), ConfigInvalid, "top", "high")
    await unchanged(manager_of_world, lambda cache: cache.set("before", 1, strategy="nobody's"), ConfigInvalid, "register_strategy")
    await unchanged(manager_of_world, lambda cache: cache.set("before", 1, serializer="nobody's"), CacheError, "nobody's")
    with pytest.raises(TypeError):
        await manager_of_world.tenant("acme").set("before", 1, tll=5)


@pytest.mark.parametrize("option", ["serializer", "strategy", "security_level", "data_type"])
async def test_an_option_that_is_no_name(world, manager_of_world, option):
    for given in ({"a": 1}, [1], [], 0, b"high", object()):
        call = lambda cache, given=given: cache.set("before", 1, **{option: given})  # noqa: E731 -- as below
        await unchanged(manager_of_world, call, ConfigInvalid, option, type(given).__name__)
        load = lambda cache, given=given: cache.get_or_set("new", lambda: pytest.fail("loaded"), **{option: given})  # noqa: E731 -- as above
        await unchanged(manager_of_world, load, ConfigInvalid, option, type(given).__name__)


BAD_OPTIONS = [
    ({"ttl": -1}, TTLInvalid),
    ({"ttl": True}, TTLInvalid),
    ({"ttl": [1]}, TTLInvalid),
    ({"stale_ttl": -1}, TTLInvalid),
    ({"tags": "t"}, KeyInvalid),
    ({"tags": ["@own"]}, KeyInvalid),
    ({"tags": [["t"]]}, KeyInvalid),
    ({"tags": ("t",) * 2 + tuple(map(str, range(40)))}, KeyInvalid),
    ({"tll": 1}, TypeError),
    ({"security_level": "top"}, ConfigInvalid),
    ({"security_level": []}, ConfigInvalid),
    ({"serializer": "nobody's"}, ConfigInvalid),
    ({"strategy": "nobody's"}, ConfigInvalid),
    ({"context": 5}, ConfigInvalid),
    ({"context": {}, "ttl": -1}, TTLInvalid),
]


@pytest.mark.parametrize("settings", [{}, {"l1_enabled": False}, {"cache_levels": 1}], ids=["both", "disk alone", "memory alone"])
async def test_bad_options_do_not_wait_for_a_miss(world, open_cache, settings):
    cache = open_cache(**settings).tenant("acme")
    await cache.set("k", "there")
    good = ({}, {"ttl": 1}, {"ttl": 1, "tags": iter(["t"])}, {"ttl": 1, "tags": ["t"], "stale_ttl": 2.5}, {"context": {"a": [1]}})
    for options in good:
        assert await cache.get_or_set("k", lambda: pytest.fail("loaded"), **options) == "there"
    for options, error in BAD_OPTIONS:
        for _ in range(2):  # what was refused once is not known
            with pytest.raises(error):
                await cache.get_or_set("k", lambda: pytest.fail("loaded"), **options)
    assert await cache.get("k") == "there"


async def test_tags_of_an_iterator_reach_the_load(world, manager_of_world):
    cache = manager_of_world.tenant("acme")
    assert await cache.get_or_set("k", lambda: 1, tags=iter(["t"])) == 1
    assert await cache.invalidate_tags("t")
    assert await cache.get("k") is None


async def test_what_passed_is_remembered_within_bounds(world, manager_of_world):
    cache = manager_of_world.tenant("acme")
    await cache.set("k", "there")
    for number in range(1, 1000):
        assert await cache.get_or_set("k", lambda: pytest.fail("loaded"), ttl=number, tags=[f"t{number}"]) == "there"
    state = cache._engine.state if world == "loop" else cache._below._engine.state
    assert 0 < len(state.known_options) <= 256


async def test_a_loader_that_is_no_function_is_refused_before_anything_is_leased(world, manager_of_world):
    for loader in (5, "text", None, [1]):
        call = lambda cache, loader=loader: cache.get_or_set("new", loader)  # noqa: E731 -- as below
        await unchanged(manager_of_world, call, ConfigInvalid, "loader", type(loader).__name__)
    cache = manager_of_world.tenant("acme")
    assert await cache.get_or_set("new", lambda: 1) == 1


async def test_an_empty_name_is_not_taken_for_none(world, manager_of_world):
    for option in ("serializer", "strategy", "security_level"):
        await unchanged(manager_of_world, lambda cache, option=option: cache.set("before", 1, **{option: ""}), ConfigInvalid, "''")


async def test_a_context_that_is_no_mapping(world, manager_of_world):
    for given in ([1], "text", 5, None):
        call = lambda cache, given=given: cache.set("before", 1, context=given)  # noqa: E731 -- as below
        await unchanged(manager_of_world, call, ConfigInvalid, "context", type(given).__name__)


def test_what_cannot_be_registered(directory):
    with SyncCacheManager({"directory": str(directory)}) as manager:
        for register, word in (
            (lambda: manager.register_class(5), "int"),
            (lambda: manager.register_class(Local()), "Local"),
            (lambda: manager.register_class(CacheLevel, name=5), "int"),
            (lambda: manager.register_serializer(5, object()), "int"),
            (lambda: manager.register_serializer("mine", object()), "object"),
            (lambda: manager.register_strategy([1], object()), "list"),
            (lambda: manager.register_strategy("mine", object()), "should_cache"),
        ):
            with pytest.raises(ConfigInvalid, match=word):
                register()


async def test_a_bad_step_of_a_counter(world, manager_of_world):
    for delta in (1.5, "1", None, True):
        await unchanged(manager_of_world, lambda cache, delta=delta: cache.incr("n", delta), ValueNotKept, "int")


BAD_TENANTS = ("", "Acme", "a b", "a:b", "a/b", "../x", "@fleet", "a" * 64, "é", "a\n", "a{b}", 5, b"acme", ["acme"], {"id": 1})


async def test_a_tenant_out_of_form(world, manager_of_world):
    for tenant in BAD_TENANTS:
        for call in (
            lambda tenant=tenant: manager_of_world.set("k", 1, tenant_id=tenant),
            lambda tenant=tenant: manager_of_world.get("k", tenant_id=tenant),
            lambda tenant=tenant: manager_of_world.clear(tenant_id=tenant),
        ):
            with pytest.raises(TenantUnknown, match="tenant"):
                await call()
    assert (await manager_of_world.stats()).l2_entries == 0


async def test_no_tenant_in_multi_tenant_use(world, open_cache):
    manager = open_cache(tenants=["acme", "other"])
    with pytest.raises(TenantUnknown, match=r"pass tenant_id=.*use_tenant"):
        await manager.get("k")
    with pytest.raises(TenantUnknown, match="not among the configured tenants"):
        await manager.set("k", 1, tenant_id="third")
    with use_tenant("acme"):
        await manager.set("k", 1)
    assert await manager.get("k", tenant_id="acme") == 1
    assert await manager.get("k", tenant_id="other") is None
    assert (await manager.stats()).l2_entries == 1


AWARE = {"blocking": SyncTenantAwareCacheManager, "loop": TenantAwareCacheManager}


async def test_the_tenant_aware_manager_refuses_a_call_without_tenant(world, open_cache):
    manager = open_cache(AWARE[world])
    for call in (
        lambda: manager.get("k"),
        lambda: manager.set("k", 1),
        lambda: manager.delete("k"),
        manager.clear,
        lambda: manager.get_many(["k"]),
    ):
        with pytest.raises(TenantUnknown, match="pass tenant_id"):
            await call()
    await manager.set("k", 1, tenant_id="acme")
    with use_tenant("acme"):
        assert await manager.get("k") == 1


async def test_the_tenant_aware_manager_takes_no_settings_that_know_one_tenant_only(world, open_cache, directory):
    with pytest.raises(ConfigInvalid, match=r"tenant_isolation is false.*TenantAwareCacheManager refuses.*leave tenant_isolation out"):
        open_cache(AWARE[world], tenant_isolation=False)
    assert not directory.exists()


async def test_a_pinned_tenant_is_the_only_one(world, open_cache):
    manager = open_cache(tenant="acme")
    await manager.set("k", 1)
    assert await manager.get("k", tenant_id="acme") == 1
    with use_tenant("other"):
        assert await manager.get("k") == 1
    with pytest.raises(TenantUnknown):
        await manager.get("k", tenant_id="other")


async def test_a_bad_namespace(world, manager_of_world):
    for namespace in ("", "@own", 5, "x" * 201, ["n"]):
        with pytest.raises(KeyInvalid, match="namespace"):
            await manager_of_world.get("k", tenant_id="acme", namespace=namespace)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"l1_max_sizes": 5}, ["l1_max_sizes", "l1_max_size"]),
        ({"l1": {"max_entrys": 5}}, ["l1.max_entrys", "max_entries"]),
        ({"default_ttl": -1}, ["default_ttl"]),
        ({"default_ttl": math.nan}, ["default_ttl"]),
        ({"cache_levels": 4}, ["cache_levels"]),
        ({"disk_max_bytes": 1}, ["disk_max_bytes", "at least 1048576"]),
        ({"tenants": ["Not In Form"]}, ["tenants"]),
        ({"compression_algorithm": "zip"}, ["compression_algorithm", "zstd"]),
        ({"l1_max_size": "many"}, ["l1_max_size"]),
    ],
    ids=lambda given: str(given)[:30],
)
async def test_a_bad_configuration(world, open_cache, directory, settings, words):
    with pytest.raises(ConfigInvalid) as caught:
        open_cache(**settings)
    for word in words:
        assert word in str(caught.value)
    assert not directory.exists()


async def test_an_error_tells_no_key_of_encryption(world, open_cache):
    with pytest.raises(ConfigInvalid) as caught:
        open_cache(encryption_key=["c2VjcmV0LXNlY3JldC1zZWNyZXQ=", 5])
    assert "c2Vj" not in str(caught.value)


async def test_a_closed_manager_says_so(world, open_cache):
    manager = open_cache()
    await manager.set("k", 1)
    await manager.close()
    with pytest.raises(CacheError, match="closed"):
        await manager.get("k")
    await manager.start()
    assert await manager.get("k") == 1
