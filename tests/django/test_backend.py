"""The backend's verbs beside what Django's own tests cover: keys, tenants, lifetimes, both worlds on one state."""

import asyncio
import threading
import time
import warnings
from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache.backends.base import CacheKeyWarning
from django.db.models import Q
from django.http import HttpResponse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy

from caching_core import SyncCacheManager, use_tenant
from caching_core.errors import ConfigInvalid, KeyInvalid, TenantUnknown, ValueNotKept
from caching_django import TieredCache

MULTI = {"OPTIONS": {"TENANTS": ["a", "b"]}}


def core(cache, **settings):
    """The core's own manager over what the backend has."""
    return SyncCacheManager(cache.shared.config.replace(settings))


# -- keys ----------------------------------------------------------------------------------------


def test_version_1_without_prefix_is_what_the_core_sees(backend):
    cache = backend()
    cache.set("k", 1)
    cache.set("k", 2, version=2)
    with core(cache) as manager:
        assert manager.get("k", tenant_id="main") == 1
        assert manager.get("k", tenant_id="main", namespace="default@v2") == 2
        manager.set("other", "from the core", tenant_id="main")
    assert cache.get("other") == "from the core"


@pytest.mark.parametrize(
    ("params", "namespace"),
    [
        ({"KEY_PREFIX": "shop"}, "shop"),
        ({"KEY_PREFIX": "shop", "VERSION": 3}, "shop@v3"),
        ({"VERSION": "1"}, "default"),
        ({"OPTIONS": {"NAMESPACE": "mine"}}, "mine"),
        ({"OPTIONS": {"NAMESPACE": "mine"}, "KEY_PREFIX": "shop"}, "shop"),
        ({"KEY_FUNCTION": lambda key, prefix, version: f"{prefix}/{version}/{key}"}, "default.custom"),
    ],
)
def test_prefix_and_version_are_a_namespace(backend, params, namespace):
    cache = backend(**params)
    assert cache.namespace() == namespace
    cache.set("k", "v")
    key = "/1/k" if "KEY_FUNCTION" in params else "k"
    with core(cache) as manager:
        assert manager.get(key, tenant_id="main", namespace=namespace) == "v"


@pytest.mark.parametrize("prefix", ["a@v2", "x.custom", "@lease", "p" * 65])
def test_a_prefix_that_would_meet_another_namespace_is_refused(backend, prefix):
    with pytest.raises((ConfigInvalid, KeyInvalid)):
        backend(KEY_PREFIX=prefix).get("k")


def test_keys_of_other_types_are_their_text(backend):
    cache = backend()
    cache.set(7, "seven")
    assert (cache.get("7"), cache.get(7), cache.get_many([7, "8"])) == ("seven", "seven", {7: "seven"})
    cache.set(mark_safe("safe"), 1)
    assert cache.get("safe") == cache.get(mark_safe("safe")) == 1
    assert cache.set_many({1: 1, "b": 2}) == []
    assert cache.get_many([1, "b"]) == {1: 1, "b": 2}


@pytest.mark.parametrize("key", ["a b", "a\x7f", "k" * 250])
def test_django_warns_of_keys_that_memcached_refuses(backend, key):
    cache = backend()
    for call in (lambda: cache.set(key, 1), lambda: cache.get_many([key]), lambda: cache.delete(key), lambda: cache.get(key)):
        with pytest.warns(CacheKeyWarning):
            call()


@pytest.mark.parametrize("key", ["é", "k" * 240, "a:b/c?d=e&f"])
def test_other_keys_pass_without_a_word(backend, key):
    cache = backend()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.set(key, 1)
        assert cache.get(key) == 1


def test_a_subclass_that_checks_keys_is_asked_for_each(backend):
    seen = []

    class Checking(TieredCache):
        def validate_key(self, key):
            seen.append(key)

    cache = Checking(*backend()._settings)
    cache.set("k", 1)
    for _ in range(3):
        assert cache.get("k") == 1
    assert seen == [":1:k"] * 4


def test_a_changed_prefix_or_version_counts_from_then_on(backend):
    cache = backend()
    cache.set("k", "one")
    assert [cache.get("k") for _ in range(3)] == ["one"] * 3
    cache.version = 2
    assert cache.get("k") is None
    cache.version, cache.key_prefix = 1, "p"
    assert cache.get("k") is None
    cache.key_prefix = ""
    assert cache.get("k") == "one"


# -- values and lifetimes ------------------------------------------------------------------------


def test_values_of_django_are_kept_by_default(backend):
    cache = backend()
    response = HttpResponse("body", headers={"X-A": "b"})
    response.set_cookie("c", "d")
    values = [mark_safe("<b>"), gettext_lazy("yes"), response, Q(a=1) | Q(b=2)]
    for value in values:
        cache.set("k", value)
        for _ in range(2):
            found = cache.get("k")
            assert type(found).__name__ == type(value).__name__
    assert isinstance(cache.get("k"), Q)
    cache.set("k", values[0])
    assert type(cache.get("k")) is SafeString


def test_classes_that_are_no_part_of_an_installed_app_are_not(backend):
    with pytest.raises(ValueNotKept, match="pickle_allow"):
        backend().set("k", Odd())
    allowing = backend(OPTIONS={"PICKLE_ALLOW": [f"{__name__}.Odd"]})
    allowing.set("k", Odd())
    assert isinstance(allowing.get("k"), Odd)
    assert backend().get("k") is None


class Odd:
    """Not of an installed app."""


@pytest.mark.parametrize(
    ("timeout", "left"), [(None, None), (10, 10), (10.9, 10), (timedelta.max.total_seconds(), None), (0, 0), (-1, 0), (True, 1)]
)
def test_timeouts_are_kept_as_django_means_them(backend, timeout, left):
    cache = backend()
    cache.set("k", 1, timeout)
    found = cache.ttl("k")
    assert found == left or (left and found == left - 1)
    assert cache.has_key("k") is (left != 0)


@pytest.mark.parametrize(
    ("given", "left"), [({}, 300), ({"TIMEOUT": 60}, 60), ({"TIMEOUT": "60"}, 60), ({"TIMEOUT": None}, None), ({"TIMEOUT": 0}, 0)]
)
def test_the_alias_has_a_timeout(backend, given, left):
    cache = backend(**given)
    cache.set("k", 1)
    found = cache.ttl("k")
    assert found == left or (left and found == left - 1)
    cache.set("k", 1, 100)
    cache.touch("k")
    found = cache.ttl("k")
    assert found == left or (left and found == left - 1)


def test_what_users_of_django_redis_call(backend):
    cache = backend()
    cache.set_many({f"user:{number}": number for number in range(5)})
    assert cache.set("user:0", "other", nx=True) is False
    assert cache.set("user:9", "new", nx=True) is True
    assert sorted(cache.keys("user:?")) == ["user:0", "user:1", "user:2", "user:3", "user:4", "user:9"]
    assert sorted(cache.iter_keys("user:*", itersize=2)) == sorted(cache.keys("user:*"))
    assert cache.expire("user:1", 50) is True
    assert cache.ttl("user:1") in {49, 50}
    assert 49_000 < cache.pttl("user:1") <= 50_000
    assert cache.pexpire("user:1", 20_000) is True
    assert cache.ttl("user:1") in {19, 20}
    assert cache.expire_at("user:1", datetime.now(UTC) + timedelta(seconds=100)) is True
    assert cache.ttl("user:1") in {99, 100}
    assert cache.expire_at("user:1", time.time() - 1) is True
    assert cache.ttl("user:1") == cache.pttl("user:1") == 0
    assert cache.persist("user:2") is True
    assert cache.ttl("user:2") is cache.pttl("user:2") is None
    assert cache.expire("missing", 5) is False
    assert cache.delete_pattern("user:*") == 5
    assert cache.keys() == []


def test_tags_are_given_and_invalidated(backend):
    cache = backend()
    cache.set("a", 1, tags=["t"])
    cache.get_or_set("b", lambda: 2, tags=["t"])
    cache.set("c", 3)
    cache.invalidate_tags("t")
    assert cache.get_many(["a", "b", "c"]) == {"c": 3}


def test_clear_takes_all_versions_of_its_own_prefix(backend):
    cache, prefixed = backend(), backend(KEY_PREFIX="p")
    for each in (cache, prefixed):
        for version in (1, 2, "beta"):
            each.set("k", 1, version=version)
    cache.clear()
    assert [cache.get("k", version=version) for version in (1, 2, "beta")] == [None] * 3
    assert [prefixed.get("k", version=version) for version in (1, 2, "beta")] == [1] * 3


def test_a_cold_key_is_loaded_once(backend):
    barrier, calls = threading.Barrier(8), []

    def load():
        calls.append(1)
        return "value"

    def ask(found):
        barrier.wait(10)
        found.append(backend().get_or_set("k", load))

    found = []
    threads = [threading.Thread(target=ask, args=(found,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (found, calls) == (["value"] * 8, [1])


# -- one state -----------------------------------------------------------------------------------


def test_objects_with_equal_settings_share_one_state(backend):
    one, same = backend(OPTIONS={"L1_MAX_SIZE": 50}), backend(OPTIONS={"L1_MAX_SIZE": 50}, KEY_PREFIX="p")
    other = backend(OPTIONS={"L1_MAX_SIZE": 60})
    assert one.shared is same.shared
    assert one.shared is not other.shared
    assert one.manager._opened() is one.loop_manager._opened()


def test_both_worlds_see_one_memory(backend):
    cache = backend()

    async def work():
        await cache.aset("k", [1])
        assert await cache.aget("k") == [1]
        assert await cache.aget("k") == [1]

    asyncio.run(work())
    before = cache.manager.stats().hits_l1
    assert cache.get("k") == [1]
    assert cache.manager.stats().hits_l1 == before + 1


def test_a_hit_in_memory_does_not_suspend(backend):
    cache = backend()
    cache.set("k", {"a": 1})
    assert cache.get("k") == {"a": 1}
    asyncio.run(cache.aget("k"))
    with pytest.raises(StopIteration) as ended:
        cache.aget("k").send(None)
    assert ended.value.value == {"a": 1}


async def test_no_async_verb_uses_a_thread(backend, monkeypatch):
    def refuse(*_args, **_options):
        pytest.fail("a thread was asked for")

    monkeypatch.setattr("django.core.cache.backends.base.sync_to_async", refuse)
    monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", refuse)
    cache = backend()
    assert await cache.aadd("k", 1) is True
    assert await cache.aadd("k", 1) is False
    assert (await cache.aget("k"), await cache.aincr("k", 2), await cache.adecr("k")) == (1, 3, 2)
    assert await cache.aset_many({"a": 1, "b": [2]}, 50) == []
    assert await cache.aget_many(["a", "b", "c"]) == {"a": 1, "b": [2]}
    assert await cache.atouch("a", 10) is True
    assert await cache.ahas_key("a") is True
    assert await cache.aget_or_set("c", lambda: 3) == 3
    assert await cache.aget_or_set("d", 4) == 4
    assert await cache.aincr_version("d") == 2
    assert sorted([key async for key in cache.aiter_keys("?", itersize=2)]) == ["a", "b", "c", "k"]
    assert await cache.adelete("a") is True
    assert await cache.adelete_many(["b"]) is None
    assert await cache.adelete_pattern("k") == 1
    await cache.aset("t", 1, tags=["x"])
    await cache.ainvalidate_tags("x")
    assert await cache.aget("t", "gone") == "gone"
    await cache.aclear()
    assert await cache.aget("d", version=2) is None
    await cache.aclose()
    with pytest.raises(ValueError, match="not found"):
        await cache.aincr("missing")


@pytest.mark.parametrize("tier", ["disk", "redis"])
async def test_aincr_is_atomic_under_64_tasks(tier, backend, on_redis):
    cache = backend(OPTIONS=on_redis() if tier == "redis" else {})
    await cache.aset("n", 0)
    await asyncio.gather(*(cache.aincr("n") for _ in range(64)))
    assert await cache.aget("n") == 64


async def test_a_coroutine_function_is_awaited_for_its_value(backend):
    async def load():
        await asyncio.sleep(0)
        return "loaded"

    assert await backend().aget_or_set("k", load) == "loaded"


# -- tenants -------------------------------------------------------------------------------------


def test_without_tenants_everything_is_in_main(backend):
    cache = backend()
    cache.set("k", 1)
    assert cache._handle(None).tenant == "main"


def test_tenants_are_apart(backend):
    cache = backend(**MULTI)
    for tenant in ("a", "b"):
        with use_tenant(tenant):
            cache.set("k", tenant)
    for _ in range(3):
        for tenant in ("a", "b"):
            with use_tenant(tenant):
                assert cache.get("k") == tenant
    with use_tenant("a"):
        cache.clear()
        assert cache.get("k") is None
    with use_tenant("b"):
        assert cache.get("k") == "b"


def test_a_call_without_a_tenant_raises(backend):
    cache = backend(**MULTI)
    for call in (lambda: cache.get("k"), lambda: cache.set("k", 1), cache.clear, lambda: asyncio.run(cache.aget("k"))):
        with pytest.raises(TenantUnknown):
            call()
    with use_tenant("a"):
        cache.set("k", 1)
        assert cache.get("k") == 1
    with pytest.raises(TenantUnknown):
        cache.get("k")


def test_a_pinned_alias_is_one_tenants_whatever_the_context(backend):
    cache = backend(OPTIONS={"TENANT": "site"})
    with use_tenant("a"):
        cache.set("k", 1)
    assert cache.get("k") == 1
    assert cache._handle(None).tenant == "site"
