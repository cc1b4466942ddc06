"""After close(): memory is given back, nothing starts again, and who still holds a handle is told."""

import subprocess
import sys
import threading

import pytest

from caching_core import CacheManager, SyncCacheManager
from caching_core.errors import CacheError
from caching_core.types import MISSING


@pytest.fixture(params=[1, 2], ids=["memory alone", "memory and disk"])
def settings(request, tmp_path):
    return {"directory": str(tmp_path / "cache"), "cache_levels": request.param}


def upkeep_threads():
    return [thread for thread in threading.enumerate() if thread.name == "caching-upkeep"]


VERBS = {
    "get": lambda cache: cache.get("k"),
    "get_many": lambda cache: cache.get_many(["k", "other"]),
    "get_or_set": lambda cache: cache.get_or_set("k", lambda: 2),
    "set": lambda cache: cache.set("k", 2),
    "set_many": lambda cache: cache.set_many({"k": 2}),
    "add": lambda cache: cache.add("new", 2),
    "delete": lambda cache: cache.delete("k"),
    "delete_many": lambda cache: cache.delete_many(["k"]),
    "invalidate_tags": lambda cache: cache.invalidate_tags("t"),
    "clear": lambda cache: cache.clear(),
    "touch": lambda cache: cache.touch("k"),
    "persist": lambda cache: cache.persist("k"),
    "ttl": lambda cache: cache.ttl("k"),
    "incr": lambda cache: cache.incr("n"),
    "decr": lambda cache: cache.decr("n"),
    "explain": lambda cache: cache.explain("k"),
}


@pytest.mark.parametrize("verb", VERBS)
async def test_every_verb_of_a_handle_kept_says_closed_in_both_worlds(settings, verb):
    blocking = SyncCacheManager(settings).start()
    other = SyncCacheManager(settings).start()
    loop = await CacheManager(settings).start()
    for manager in (blocking, other):
        manager.tenant("acme").set("k", 1)
    kept, theirs = blocking.tenant("acme"), loop.tenant("acme")
    assert kept.get("k") == await theirs.get("k") == 1
    blocking.close()
    await loop.close()
    with pytest.raises(CacheError, match="closed"):
        VERBS[verb](kept)
    with pytest.raises(CacheError, match="closed"):
        await VERBS[verb](theirs)
    assert (kept.tenant, kept.namespace) == ("acme", "default")
    assert other.tenant("acme").get("k") == 1, "others of the same settings go on"
    other.close()


def test_closing_empties_memory_and_nothing_starts_it_again(settings):
    before = set(upkeep_threads())
    manager = SyncCacheManager(settings)
    instance = manager.start()._instance
    handle = manager.tenant("acme")
    handle.set("k", "x" * 1000, tags=["t"])
    handle.get("k")
    reader, scope = instance.blocking.read, handle._scope
    manager.close()
    assert instance.memory.usage().entries == 0
    assert instance.state.ledgers == {}
    assert scope.plain is None
    if settings["cache_levels"] > 1:
        assert reader.get_at_once(scope, "k") is MISSING
        with pytest.raises(CacheError, match="closed"):
            reader.get(scope, "k", None).send(None)
    with pytest.raises(CacheError, match="closed"):
        instance.ensure_upkeep()
    assert not set(upkeep_threads()) - before
    instance.close()


def test_a_reopened_manager_gives_new_handles(settings):
    manager = SyncCacheManager(settings).start()
    old = manager.tenant("acme")
    old.set("k", 1)
    manager.close()
    with pytest.raises(CacheError, match="closed"):
        manager.tenant("acme")
    manager.start()
    new = manager.tenant("acme")
    assert new is not old
    assert new.set("k", 2)
    assert new.get("k") == 2
    manager.close()


def test_a_handle_made_while_the_manager_closes_is_not_kept(settings, monkeypatch):
    manager = SyncCacheManager(settings).start()
    bind = SyncCacheManager._bind

    def close_meanwhile(self, instance, tenant, namespace):
        made = bind(self, instance, tenant, namespace)
        monkeypatch.undo()
        self.close()
        return made

    monkeypatch.setattr(SyncCacheManager, "_bind", close_meanwhile)
    with pytest.raises(CacheError, match="closed"):
        manager.tenant("acme")
    assert manager.start().tenant("acme").set("k", 1)
    manager.close()


AT_EXIT = """
import atexit, sys

def last():
    for use in (lambda: cache.set("k", 2), lambda: cache.get("k"), lambda: manager.set("k", 3), lambda: cache.get_or_set("l", lambda: 4)):
        try:
            use()
        except CacheError as error:
            assert "closed" in str(error), error
            print("closed", flush=True)
        else:
            print("done", flush=True)

atexit.register(last)  # before ours, so it runs after
from caching_core import SyncCacheManager
from caching_core.errors import CacheError
from caching_core.types import MISSING
manager = SyncCacheManager({"directory": sys.argv[1], "cache_levels": int(sys.argv[2])}).start()
cache = manager.tenant("acme")
cache.set("k", 1, stale_ttl=60)
cache.get("k")
"""


def test_what_runs_at_exit_after_ours_neither_hangs_nor_warns(settings):
    levels = settings["cache_levels"]
    command = [sys.executable, "-W", "error", "-c", AT_EXIT, settings["directory"], str(levels)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    assert len(done.stdout.split()) == 4
    if levels > 1:
        assert set(done.stdout.split()) == {"closed"}
