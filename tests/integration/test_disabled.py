"""CACHING_DISABLED: reads miss and writes store nothing, but what is invalidated is invalid for everybody, and nothing breaks."""

import pytest

from caching_core import SyncCacheManager
from caching_core.errors import KeyInvalid, TTLInvalid, ValueNotKept


@pytest.fixture
def beside(world, open_cache):
    """An enabled cache of two entries and a disabled one over the same directory: (enabled manager, handle), (the same)."""
    enabled, disabled = open_cache(), open_cache(disabled=True)
    return enabled, disabled


async def filled(manager):
    cache = manager.tenant("acme")
    await cache.set_many({"k": 1, "l": 2}, tags=["t"])
    assert await cache.get_many(["k", "l"]) == {"k": 1, "l": 2}
    return cache


INVALIDATIONS = {
    "delete": (lambda manager: manager.delete("k", tenant_id="acme"), 1, {"l": 2}),
    "delete_many": (lambda manager: manager.delete_many(["k", "l", "none"], tenant_id="acme"), 2, {}),
    "tags": (lambda manager: manager.invalidate_tags("t", tenant_id="acme"), 1, {}),
    "clear": (lambda manager: manager.clear(tenant_id="acme"), 1, {}),
    "clear_all": (lambda manager: manager.clear_all(), 1, {}),
}


@pytest.mark.parametrize("way", INVALIDATIONS)
async def test_what_a_disabled_cache_invalidates_is_gone_for_the_others(world, beside, way):
    enabled, disabled = beside
    cache = await filled(enabled)
    invalidate, count, left = INVALIDATIONS[way]
    done = await invalidate(disabled)
    assert (done.count, done.pending) == (count, False)
    assert await cache.get_many(["k", "l"]) == left


WRITES = {
    "set": lambda cache: cache.set("k", 9),
    "set to nothing": lambda cache: cache.set("k", 9, ttl=0),
    "set_many": lambda cache: cache.set_many({"k": 9}),
    "incr": lambda cache: cache.incr("k"),
    "decr": lambda cache: cache.decr("k"),
    "touch to nothing": lambda cache: cache.touch("k", 0),
}


@pytest.mark.parametrize("way", WRITES)
async def test_a_skipped_write_takes_away_what_it_would_have_replaced(world, beside, way):
    enabled, disabled = beside
    cache = await filled(enabled)
    await WRITES[way](disabled.tenant("acme"))
    assert await cache.get_many(["k", "l"]) == {"l": 2}


async def test_what_would_have_replaced_nothing_takes_nothing_away(world, beside):
    enabled, disabled = beside
    cache = await filled(enabled)
    off = disabled.tenant("acme")
    assert await off.add("k", 9) is True  # who takes it for a lock goes on
    assert await off.touch("k", 60) is False
    assert await off.persist("k") is False
    assert await off.get_or_set("k", lambda: 9) == 9
    assert await cache.get_many(["k", "l"]) == {"k": 1, "l": 2}


async def test_every_read_is_a_miss_and_every_write_says_that_it_was_skipped(world, beside, monkeypatch):
    enabled, disabled = beside
    await filled(enabled)
    cache = disabled.tenant("acme")
    loads = []
    assert await cache.get("k", "default") == "default"
    assert await cache.get_many(["k", "l"]) == {}
    assert await cache.ttl("k") is None
    assert "disabled" in (await cache.explain("k")).reason
    assert await cache.get_or_set("k", lambda: loads.append(1) or 7) == 7
    assert await cache.get_or_set("k", lambda: loads.append(1) or 8) == 8
    assert len(loads) == 2
    assert await cache.set("new", 1) is False
    assert await cache.set_many({"new": 1, "other": 2}) == ["new", "other"]
    assert [await cache.incr("n", 2), await cache.incr("n", 2), await cache.decr("n")] == [2, 2, -1]
    assert await cache.incr("n", initial=None) is None
    assert not await cache.delete("new")
    assert (await enabled.stats()).l2_entries == 2
    assert (await disabled.stats()).sets_skipped == 7


async def test_the_switch_is_found_in_the_environment(world, open_cache, monkeypatch):
    monkeypatch.setenv("CACHING_DISABLED", "1")
    cache = open_cache().tenant("acme")
    assert await cache.set("k", 1) is False
    assert await cache.get("k", "default") == "default"


async def test_bad_input_is_refused_as_ever(world, beside):
    cache = beside[1].tenant("acme")
    for call, error in (
        (lambda: cache.delete(5), KeyInvalid),
        (lambda: cache.invalidate_tags("@all"), KeyInvalid),
        (lambda: cache.set("k", object()), ValueNotKept),
        (lambda: cache.set("k", 1, ttl=-1), TTLInvalid),
        (lambda: cache.incr(5), KeyInvalid),
    ):
        with pytest.raises(error):
            await call()


async def all_verbs(manager):
    """Call everything that changes; return the answers of the invalidations."""
    cache = manager.tenant("acme")
    assert await cache.set("k", 1) is False
    assert await cache.set_many({"k": 1}) == ["k"]
    assert await cache.incr("k") == 1
    assert await cache.touch("k", 0) is False
    assert await cache.get("k") is None
    return [
        await cache.delete("k"),
        await cache.delete_many(["k"]),
        await cache.invalidate_tags("t"),
        await cache.clear(),
        await manager.clear_all(),
    ]


async def test_a_store_that_fails_breaks_nothing_and_nothing_is_said_to_be_done(world, beside):
    enabled, disabled = beside
    await filled(enabled)
    assert await disabled.tenant("acme").delete("none") is not None
    below = getattr(disabled, "_below", disabled)
    for engine in (below._instance.blocking, below._instance.loop):
        engine.store.close()
    answers = await all_verbs(disabled)
    assert [(done.count, done.pending) for done in answers[:4]] == [(0, True)] * 4


@pytest.mark.parametrize("obstacle", ["a file in the way", "a keystore that is none"])
async def test_a_place_that_cannot_be_opened_breaks_nothing_and_nothing_is_said_to_be_done(world, open_cache, directory, obstacle):
    if obstacle == "a file in the way":
        directory.write_text("in the way")
    else:
        directory.mkdir(mode=0o700)
        (directory / "keystore.db").write_bytes(b"no database" * 1000)
        (directory / "keystore.db").chmod(0o600)
    assert all((done.count, done.pending) == (0, True) for done in await all_verbs(open_cache(disabled=True)))


async def test_a_cache_that_is_read_only_as_well_changes_nothing(world, open_cache):
    cache = await filled(open_cache())
    answers = await all_verbs(open_cache(disabled=True, read_only=True))
    assert all((done.count, done.pending) == (0, True) for done in answers)
    assert await cache.get_many(["k", "l"]) == {"k": 1, "l": 2}


OFF = """
with SyncCacheManager({"directory": str(DIRECTORY)}) as manager:
    cache = manager.tenant("acme")
    cache.get("k")
    cache.set("k", "new")
    cache.invalidate_tags("t")
say("done")
"""


def test_a_worker_that_was_disabled_during_an_incident_serves_nothing_old_afterwards(peer, directory):
    with SyncCacheManager({"directory": str(directory)}) as manager:
        cache = manager.tenant("acme")
        cache.set("k", "old")
        cache.set("tagged", "old", tags=["t"])
        assert cache.get_many(["k", "tagged"]) == {"k": "old", "tagged": "old"}
        off = peer(OFF, environ={"CACHING_DISABLED": "1"})
        assert off.hear() == "done"
        off.end()
        assert cache.get_many(["k", "tagged"]) == {}
    again = peer("say(SyncCacheManager({'directory': str(DIRECTORY)}).tenant('acme').get_many(['k', 'tagged']))")
    assert again.hear() == {}
    again.end()
