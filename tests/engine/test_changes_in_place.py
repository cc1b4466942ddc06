"""touch, persist, incr, add: what comes between their read and their write is not undone, and lifetimes stay."""

import threading

import pytest

from caching_core import SyncCacheManager
from caching_core.errors import ConfigInvalid, KeyInvalid, NotSupported, ValueNotKept
from caching_core.runtime import run_sync

CHANGES = {
    "touch": lambda cache: cache.touch("n", 100),
    "persist": lambda cache: cache.persist("n"),
    "incr": lambda cache: cache.incr("n"),
}
INVALIDATIONS = {
    "tag": lambda cache: cache.invalidate_tags("red"),
    "clear": lambda cache: cache.clear(),
    "delete": lambda cache: cache.delete("n"),
}


@pytest.fixture(params=["disk", "memory"])
def cache(request, tmp_path):
    levels = 2 if request.param == "disk" else 1
    with SyncCacheManager({"directory": tmp_path / "cache", "cache_levels": levels}) as manager:
        yield manager.tenant("acme")


def between(cache, invalidate):
    """Call ``invalidate`` each time after a change has read what stands and before it writes."""
    changer = cache._engine.change
    name = "_found" if cache._engine.store is not None else "_in_memory"
    real = getattr(type(changer), name)

    class Interrupted(type(changer)):
        __slots__ = ()

        if name == "_found":

            async def _found(self, scope, key):
                found = await real(self, scope, key)
                invalidate(cache)
                return found

        else:

            def _in_memory(self, scope, key):
                found = real(self, scope, key)
                invalidate(cache)
                return found

    engine = cache._engine
    engine.change = Interrupted(engine.state, engine.store, engine.runtime, engine.read, engine.write)


@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("what", ["tag", "clear"])
def test_what_was_invalidated_meanwhile_does_not_come_back(cache, how, what):
    cache.set("n", 41, tags=["red"], ttl=50)
    between(cache, INVALIDATIONS[what])
    CHANGES[how](cache)
    assert cache.get("n") is None


def test_a_row_that_was_deleted_meanwhile_does_not_come_back(tmp_path):
    with SyncCacheManager({"directory": tmp_path / "cache"}) as manager:
        cache = manager.tenant("acme")
        cache.set("n", 41)
        between(cache, INVALIDATIONS["delete"])
        assert cache.touch("n", 100) is False
        assert cache.get("n") is None


def test_incr_leaves_the_limit_where_it_was(tmp_path):
    with SyncCacheManager({"directory": tmp_path / "cache", "l1_enabled": False}) as manager:
        cache = manager.tenant("acme")
        cache.incr("n", ttl=50)

        def limit():
            blob = run_sync(cache._engine.store.get("cc:{acme}:default:n"))
            return cache._scope.channel.open("n", blob[1:]).hard_at_ms

        before = limit()
        for _ in range(300):
            cache.incr("n")
        assert limit() == before
        assert cache.get("n") == 301


def test_a_counter_in_memory_loses_no_set_and_no_increment(tmp_path):
    with SyncCacheManager({"cache_levels": 1}) as manager:
        cache = manager.tenant("acme")
        cache.set("n", 0)
        threads = [threading.Thread(target=lambda: [cache.incr("n") for _ in range(300)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert cache.get("n") == 1200


def test_what_is_over_at_once_is_added_and_gone(cache):
    assert cache.add("k", 1, ttl=0) is True
    assert cache.get("k") is None
    assert cache.incr("m", ttl=0) == 1
    assert cache.get("m") is None


def test_touch_and_incr_keep_tags_and_kind(cache):
    cache.set("n", 1, tags=["red"], serializer="json")
    cache.incr("n")
    cache.touch("n", 100)
    assert cache.get("n") == 2
    cache.invalidate_tags("red")
    assert cache.get("n") is None


@pytest.mark.parametrize(("delta", "initial"), [("1", 0), (1.5, 0), (True, 0), (1, 1.5)])
def test_numbers_that_are_no_int_are_refused(cache, delta, initial):
    with pytest.raises(ValueNotKept):
        cache.incr("n", delta, initial=initial)
    with pytest.raises(ValueNotKept):
        cache.decr("n", delta, initial=initial)
    assert cache.get("n") is None


def test_policies_hold_for_counters_and_touches(tmp_path):
    policies = {"secret:*": {"security_level": "high", "ttl": 60}}
    with SyncCacheManager({"directory": tmp_path / "cache", "policies": policies}) as manager:
        cache = manager.tenant("acme")
        cache.incr("secret:n")
        assert cache.get("secret:n") == 1
        assert "secret:n" not in cache._entries, "high entries stay out of L1"
        assert 50 < cache.ttl("secret:n") <= 60
        cache.persist("secret:n")
        cache.touch("secret:n")
        assert 50 < cache.ttl("secret:n") <= 60


def test_every_key_of_set_many_bears_tags_that_came_from_an_iterator(cache):
    cache.set_many({"x": 1, "y": 2, "z": 3}, tags=(tag for tag in ["red"]))
    cache.invalidate_tags("red")
    assert cache.get_many(["x", "y", "z"]) == {}


def test_a_text_without_a_hash_is_a_key_like_its_text(cache):
    class Odd(str):
        __slots__ = ()
        __hash__ = None

        def __eq__(self, other):
            return str.__eq__(self, other)

    cache.set("k", 1)
    assert cache.get(Odd("k")) == 1
    assert cache.get(Odd("absent")) is None
    assert cache.get_or_set(Odd("other"), lambda: 7) == 7
    with pytest.raises(KeyInvalid):
        cache.get([])
    with pytest.raises(KeyInvalid):
        cache.get_or_set(5, lambda: 7)


def test_unknown_names_are_found_before_anything_is_loaded(cache):
    loaded = []
    for options in ({"strategy": "absent"}, {"serializer": "absent"}, {"security_level": "absent"}):
        with pytest.raises(ConfigInvalid, match="absent"):
            cache.get_or_set("k", lambda: loaded.append(1), **options)
    assert loaded == []


def test_high_without_security_is_refused(tmp_path):
    with (
        SyncCacheManager({"directory": tmp_path / "cache", "security_enabled": False}) as manager,
        pytest.raises(ConfigInvalid, match="seals"),
    ):
        manager.tenant("acme").set("k", 1, security_level="high")


def test_read_only_stores_nothing(tmp_path):
    settings = {"directory": tmp_path / "cache"}
    with SyncCacheManager(settings) as writer, SyncCacheManager({**settings, "read_only": True}) as reader:
        writer.tenant("acme").set("k", 1)
        cache = reader.tenant("acme")
        assert cache.get_or_set("k", lambda: 2) == 1
        assert cache.get_or_set("other", lambda: 2) == 2
        assert writer.tenant("acme").get("other") is None
        for verb in (lambda: cache.set("k", 2), lambda: cache.delete("k"), lambda: cache.incr("k"), cache.clear):
            with pytest.raises(NotSupported, match="read_only"):
                verb()


def test_a_disabled_cache_counts_from_the_start_and_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("CACHING_DISABLED", "1")
    with SyncCacheManager({"directory": tmp_path / "cache"}) as manager:
        cache = manager.tenant("acme")
        assert [cache.incr("n", 2) for _ in range(2)] == [2, 2]
        assert cache.add("k", 1) is True
        assert cache.ttl("k") is None
