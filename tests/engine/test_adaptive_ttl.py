"""Lifetimes that nobody gave: what of a load reaches the model, when it may decide, and what explain and stats tell of it."""

import os
import signal
from collections.abc import Mapping
from typing import Any

import pytest

from caching_core import CacheManager, SyncCacheManager
from caching_core.errors import ConfigInvalid
from caching_core.runtime import run_sync
from caching_core.strategies import CustomStrategy


class Source:
    """A value that is loaded, and counted."""

    def __init__(self, value: object = 0) -> None:
        self.value = value
        self.loads = 0

    def __call__(self) -> object:
        self.loads += 1
        return self.value


@pytest.fixture(params=["memory", "disk"])
def opened(request, tmp_path):
    made = []

    def make(**settings):
        where = {"cache_levels": 1} if request.param == "memory" else {"directory": tmp_path / "cache"}
        manager = SyncCacheManager({**where, "namespace": f"n{len(made)}", **settings})
        made.append(manager)
        return manager.tenant("acme")

    yield make
    for manager in made:
        manager.close()


def reload(cache, key, source, *, times=1, **options):
    """Load a key again, as after the end of its lifetime: nothing that invalidates it happens."""
    for _ in range(times):
        cache.get_or_set(key, source, **options)
        cache._scope.entries.get(key).until = 0.0
        store = cache._engine.store
        if store is not None:
            from caching_core.tiers import Delete

            run_sync(store.mutate([Delete(cache._scope.names.of(key)[0])]))


def figures(cache):
    return cache._engine.state.ttl_model.figures()


def test_by_default_the_model_only_reports(opened):
    cache, source = opened(default_ttl=100), Source()
    reload(cache, "user:1", source, times=5, data_type="profile")
    cache.get_or_set("user:1", source, data_type="profile")
    found = cache.explain("user:1")
    assert 99 < found.ttl <= 100
    known = found.adaptive_ttl
    assert (known.template, known.data_type, known.acts, known.given) == ("user:{}", "profile", False, 100.0)
    assert (known.refills, known.changed) == (5, 0)
    assert 1.0 <= known.ttl <= 400.0
    assert (figures(cache).loads, figures(cache).refills, figures(cache).acts) == (6, 5, False)


def test_where_it_acts_its_lifetime_is_in_force_between_floor_and_ceiling(opened):
    cache = opened(default_ttl=100, ml_predictions=True, ttl_floor=7, ttl_stretch=3)
    cache.get_or_set("user:1", Source())
    found = cache.explain("user:1")
    assert found.adaptive_ttl.acts
    assert found.adaptive_ttl.ttl == found.adaptive_ttl.given
    assert found.ttl == pytest.approx(found.adaptive_ttl.ttl, abs=1.0)
    assert 7.0 <= found.adaptive_ttl.ttl <= 300.0


def test_it_learns_which_values_change(opened):
    cache, steady, busy = opened(ml_predictions=True, ttl_floor=0.01), Source(), Source()
    for turn in range(30):
        busy.value = turn
        reload(cache, "steady:1", steady)
        reload(cache, "busy:1", busy)
    assert (cache.explain("steady:1").adaptive_ttl.changed, cache.explain("busy:1").adaptive_ttl.changed) == (0, 29)
    assert cache.explain("busy:1").adaptive_ttl.ttl < cache.explain("steady:1").adaptive_ttl.ttl / 10


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None]}, "text", b"bytes", (1, "x"), {"s": {1, 2}}])
def test_an_equal_value_is_no_change(opened, value):
    import copy

    cache = opened()
    for _ in range(3):
        reload(cache, "k", Source(copy.deepcopy(value)))
    assert (figures(cache).refills, figures(cache).changed) == (2, 0)


@pytest.mark.parametrize(
    "announce",
    [
        lambda cache: cache.delete("k:1"),
        lambda cache: cache.set("k:1", "written"),
        lambda cache: cache.invalidate_tags("red"),
        lambda cache: cache.clear(),
    ],
)
def test_a_change_that_is_announced_is_none_that_a_lifetime_must_catch(opened, announce):
    cache, source = opened(), Source()
    reload(cache, "k:1", source, times=2, tags=["red"])
    assert figures(cache).refills == 1
    announce(cache)
    if cache._scope.entries.get("k:1") is not None:
        cache._scope.entries["k:1"].until = 0.0
    if cache._engine.store is not None:
        from caching_core.tiers import Delete

        run_sync(cache._engine.store.mutate([Delete(cache._scope.names.of("k:1")[0])]))
    source.value = "another"
    reload(cache, "k:1", source, tags=["red"])
    assert (figures(cache).loads, figures(cache).refills, figures(cache).changed) == (3, 1, 0)
    reload(cache, "k:1", source, tags=["red"])
    assert figures(cache).refills == 2


def test_hits_make_the_read_rate(opened):
    cache = opened()
    for _ in range(3):
        cache.get_or_set("hot:1", Source())
        for _ in range(500):
            cache.get("hot:1")
        reload(cache, "hot:1", Source())
        reload(cache, "cold:1", Source())
    assert cache.explain("hot:1").adaptive_ttl.read_rate > cache.explain("cold:1").adaptive_ttl.read_rate


class Fixed(CustomStrategy):
    def should_cache(self, key: str, value: Any, context: Mapping[str, Any]) -> bool:
        return True

    def calculate_ttl(self, key: str, value: Any, context: Mapping[str, Any]) -> float:
        return 55.0


@pytest.mark.parametrize(
    ("key", "options", "expected"),
    [
        ("k", {"ttl": 50}, 50.0),
        ("k", {"ttl": None}, float("inf")),
        ("ruled:1", {}, 44.0),
        ("k", {"strategy": "fixed"}, 55.0),
        ("decided:1", {}, 55.0),
    ],
)
def test_who_gave_a_lifetime_is_not_overruled(opened, key, options, expected):
    cache = opened(ml_predictions=True, policies={"ruled:*": {"ttl": 44}, "decided:*": {"strategy": "fixed"}})
    cache._engine.state.strategies.register("fixed", Fixed())
    cache.get_or_set(key, Source(1), **options)
    left = cache.ttl(key)
    assert left == expected or expected - 1 < left <= expected
    assert cache.explain(key).adaptive_ttl is None
    assert figures(cache).loads == 0


def test_a_policy_names_the_data_type_and_leaves_the_lifetime_open(opened):
    cache = opened(policies={"s:*": {"data_type": "session"}})
    cache.get_or_set("s:1", Source())
    cache.get_or_set("s:2", Source(), data_type="other")
    assert [cache.explain(f"s:{number}").adaptive_ttl.data_type for number in (1, 2)] == ["session", "other"]


def test_the_stale_period_is_added_to_the_models_lifetime(opened):
    cache = opened(ml_predictions=True)
    cache.get_or_set("k", Source(), stale_ttl=30)
    found = cache.explain("k")
    assert found.ttl == pytest.approx(found.adaptive_ttl.ttl, abs=1.0)
    if found.stale_ttl is not None:  # memory alone does not keep it
        assert found.stale_ttl == pytest.approx(30.0, abs=0.1)


def test_a_value_of_high_security_leaves_no_digest(tmp_path):
    with SyncCacheManager({"directory": tmp_path / "cache"}) as manager:
        cache = manager.tenant("acme")
        cache.get_or_set("k", Source("secret"), security_level="high")
        assert figures(cache).loads == 0


def test_stats_carry_the_figures(tmp_path):
    with SyncCacheManager({"directory": tmp_path / "cache"}) as manager:
        manager.tenant("acme").get_or_set("user:1", Source())
        assert manager.stats().adaptive_ttl.loads == 1
        assert manager.stats().as_dict()["adaptive_ttl"]["acts"] is False


async def test_the_loop_learns_in_the_same_place(tmp_path):
    async with CacheManager({"directory": tmp_path / "cache"}) as manager:
        await manager.get_or_set("user:1", Source(), tenant_id="acme")
        with SyncCacheManager({"directory": tmp_path / "cache"}) as blocking:
            assert blocking.tenant("acme").explain("user:1").adaptive_ttl.template == "user:{}"
        assert (await manager.stats()).adaptive_ttl.loads == 1


def test_a_forked_child_goes_on_with_what_was_learned(opened):
    cache = opened()
    reload(cache, "user:1", Source(), times=3)
    lock = cache._engine.state.ttl_model._mutex
    lock.acquire()  # as another thread of the parent may have, whom the child does not have
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # a lock that nobody gives back would be waited for without end
        try:
            reload(cache, "user:1", Source())
            os._exit(0 if figures(cache).refills == 3 else 1)
        finally:
            os._exit(2)
    lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_two_tenants_learn_apart(tmp_path):
    with SyncCacheManager({"directory": tmp_path / "cache"}) as manager:
        manager.tenant("acme").get_or_set("user:1", Source())
        assert manager.tenant("globex").explain("user:1").adaptive_ttl is None


# -- get, then set -----------------------------------------------------------------------------------


def expire(cache, key):
    entry = cache._scope.entries.get(key)
    if entry is not None:
        entry.until = 0.0
    if cache._engine.store is not None:
        from caching_core.tiers import Delete

        run_sync(cache._engine.store.mutate([Delete(cache._scope.names.of(key)[0])]))


def refill(cache, key, value, **options):
    assert cache.get(key) is None
    cache.set(key, value, **options)
    expire(cache, key)


@pytest.mark.parametrize("options", [{}, {"data_type": "session"}, {"tags": ["red"]}])
@pytest.mark.parametrize("acts", [False, True])
def test_a_set_after_a_miss_is_a_load(opened, options, acts):
    cache = opened(ml_predictions=acts)
    for value in (1, 1, 2, 2):
        refill(cache, "user:1", value, **options)
    assert (figures(cache).loads, figures(cache).refills, figures(cache).changed) == (4, 3, 1)
    assert cache.explain("user:1").adaptive_ttl.data_type == options.get("data_type")


@pytest.mark.parametrize("acts", [False, True])
def test_a_set_without_a_miss_is_an_announced_change(opened, acts):
    cache = opened(ml_predictions=acts)
    refill(cache, "user:1", 1)
    cache.set("user:1", 2)
    cache.set("user:1", 3, data_type="x")
    expire(cache, "user:1")
    assert (figures(cache).refills, figures(cache).changed) == (0, 0)
    refill(cache, "user:1", 3)
    refill(cache, "user:1", 3)
    # Where it acts, it was asked for the lifetime of what was set, and knows the value.
    assert (figures(cache).refills, figures(cache).changed) == (1 + acts, 0)


def test_an_invalidation_between_two_sets_is_announced_too(opened):
    cache = opened()
    refill(cache, "user:1", 1, tags=["red"])
    cache.invalidate_tags("red")
    refill(cache, "user:1", 2, tags=["red"])
    cache.delete("user:1")
    refill(cache, "user:1", 3, tags=["red"])
    assert figures(cache).refills == 0
    refill(cache, "user:1", 3, tags=["red"])
    assert figures(cache).refills == 1


def test_where_it_acts_a_set_takes_its_lifetime(opened):
    cache = opened(ml_predictions=True, default_ttl=100, ttl_floor=3, ttl_stretch=2)
    for key in ("user:0", "user:1"):  # the second finds everything settled, and could go the quick way
        assert cache.get(key) is None
        cache.set(key, 1)
        assert cache.ttl(key) == pytest.approx(cache.explain(key).adaptive_ttl.ttl, abs=1.0)
    cache.set("user:2", 1, ttl=50)
    assert 49 < cache.ttl("user:2") <= 50


async def test_a_set_after_a_miss_on_a_loop(tmp_path):
    async with CacheManager({"directory": tmp_path / "cache"}) as manager:
        cache = manager.tenant("acme")
        for _ in range(2):
            await cache.get("user:1")
            await cache.set("user:1", 1)
            await cache.delete("user:1")
        assert (await manager.stats()).adaptive_ttl.loads == 2


def test_it_can_be_let_act_later(tmp_path):
    with SyncCacheManager({"directory": tmp_path / "cache", "default_ttl": 100, "ttl_floor": 3, "ttl_stretch": 2}) as manager:
        cache = manager.tenant("acme")
        refill(cache, "user:1", 1)
        assert not cache.explain("user:1").adaptive_ttl.acts
        manager.enable_ml_optimization(learning_rate=0.02)
        assert cache.get("user:1") is None
        cache.set("user:1", 1)
        known = cache.explain("user:1").adaptive_ttl
        assert (known.acts, known.refills) == (True, 1)
        assert cache.ttl("user:1") == pytest.approx(known.ttl, abs=1.0)
        with pytest.raises(ConfigInvalid, match="learning_rate"):
            manager.enable_ml_optimization(learning_rate=2)
