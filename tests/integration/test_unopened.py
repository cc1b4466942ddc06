"""A cache that cannot be opened: reads miss, loaders run, nothing that must not be lost is acknowledged, and it opens in time."""

import itertools
import logging
import threading
import time

import pytest

from caching_core import SyncCacheManager, SyncTenantAwareCacheManager
from caching_core.errors import CacheError, ConfigInvalid, KeyUnavailable, TierUnavailable


def empty_keystore(directory):
    (directory / "keystore.db").write_bytes(b"")
    (directory / "keystore.db").chmod(0o600)


def garbage_keystore(directory):
    (directory / "keystore.db").write_bytes(b"no database" * 1000)
    (directory / "keystore.db").chmod(0o600)


def directory_for_stamps(directory):
    (directory / "stamps").unlink(missing_ok=True)
    (directory / "stamps").mkdir()


def no_key(directory):
    (directory / "key").rename(directory.parent / "key")


def mend(directory, kept):
    for name in ("keystore.db", "stamps"):
        path = directory / name
        if path.is_dir():
            path.rmdir()
        elif name == "keystore.db":
            path.write_bytes(kept)
    if (directory.parent / "key").exists():
        (directory.parent / "key").rename(directory / "key")


@pytest.fixture(params=[empty_keystore, garbage_keystore, directory_for_stamps, no_key])
def broken(request, directory):
    """Break a directory that was used before; call it to mend it."""
    with SyncCacheManager({"directory": directory}) as manager:
        manager.set("k", "kept", tenant_id="acme")
    kept = (directory / "keystore.db").read_bytes()
    request.param(directory)
    return lambda: mend(directory, kept)


async def wait_for(condition):
    until = time.monotonic() + 20
    while not await condition():
        assert time.monotonic() < until


async def test_reads_go_on_and_nothing_is_acknowledged(world, open_cache, broken, caplog):
    manager = open_cache()
    with caplog.at_level(logging.WARNING):
        handle = manager.tenant("acme")
        for _ in range(3):
            assert await handle.get("k", "default") == "default"
            assert await handle.get_many(["k", "l"]) == {}
            assert await handle.get_or_set("k", lambda: "loaded") == "loaded"
            assert await manager.get("k", "default", tenant_id="acme") == "default"
            assert (await handle.explain("k")).hit is False
        for call in (
            lambda: handle.delete("k"),
            lambda: handle.delete_many(["k"]),
            lambda: handle.invalidate_tags("t"),
            handle.clear,
            lambda: handle.set("k", 1),
            lambda: handle.add("k", 1),
            lambda: handle.incr("k"),
            manager.clear_all,
        ):
            with pytest.raises(TierUnavailable):
                await call()
        assert (await manager.stats()).l2_entries in (None, 0)
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len([line for line in told if "trying again" in line]) == 1, told
    broken()

    async def is_open():
        return await handle.set("new", 1)

    async def tried():
        try:
            return await is_open()
        except TierUnavailable:
            return False

    await wait_for(tried)
    assert await handle.get("new") == 1
    assert await manager.get("new", tenant_id="acme") == 1
    assert await handle.delete("new")
    assert manager.tenant("acme") is not None


async def test_start_raises_and_opens_at_once_when_it_can(world, open_cache, broken):
    manager = open_cache()
    assert await manager.get("k") is None  # opened by a use
    for _ in range(2):
        with pytest.raises((KeyUnavailable, TierUnavailable)):
            await manager.start()
    broken()
    await manager.start()
    assert await manager.set("k", 1)
    assert await manager.get("k") == 1


async def test_a_strict_cache_raises(world, open_cache, broken):
    manager = open_cache(strict=True)
    for _ in range(2):
        with pytest.raises((KeyUnavailable, TierUnavailable)):
            await manager.get("k")
    broken()
    assert await manager.set("k", 1)


async def test_a_setting_that_does_not_fit_raises_in_any_case(world, open_cache, directory):
    with SyncCacheManager({"directory": directory}):
        manager = open_cache(key_privacy="hashed")
        for _ in range(2):
            with pytest.raises(ConfigInvalid):
                await manager.get("k")


def test_it_is_tried_once_a_second_and_said_once(manager, directory, broken, monkeypatch, caplog):
    from caching_core.assembly import _instance

    tries = []
    opening = _instance.open_place

    def counted(*given, **more):
        tries.append(time.monotonic())
        return opening(*given, **more)

    monkeypatch.setattr(_instance, "open_place", counted)
    cache = manager().tenant("acme")
    began = time.monotonic()
    while time.monotonic() < began + 2.6:
        assert cache.get("k") is None
    assert 2 <= len(tries) <= 4
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1
    assert all(later - earlier > 0.9 for earlier, later in itertools.pairwise(tries))


def test_many_callers_of_one_key_load_beside_each_other(manager, broken, eventually):
    """Nothing keeps a value that one of them loads: they must not come to their own loads one after another."""
    made = manager()
    cache = made.tenant("acme")
    inside, go_on, beside, found = threading.Event(), threading.Event(), threading.Barrier(5), []

    def first():
        inside.set()
        assert go_on.wait(20)
        return "first"

    def another():
        beside.wait(20)
        return "another"

    threads = [threading.Thread(target=lambda load=load: found.append(cache.get_or_set("k", load))) for load in (first, *[another] * 5)]
    threads[0].start()
    assert inside.wait(20)
    for thread in threads[1:]:
        thread.start()
    eventually(lambda: made.stats().joined == 5)
    go_on.set()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["another"] * 5 + ["first"]


def test_what_was_registered_before_it_opened_counts_after(manager, broken):
    from caching_core.strategies import CustomStrategy

    class Never(CustomStrategy):
        def should_cache(self, key, value, context):
            return False

        def calculate_ttl(self, key, value, context):
            return 1

    made = manager()
    made.register_strategy("never", Never())
    broken()
    made.start()
    made.set("k", 1, strategy="never")
    assert made.get("k") is None


def test_closing_ends_it(manager, broken):
    before = threading.enumerate()
    made = manager()
    handle = made.tenant("acme")
    assert handle.get("k") is None
    assert [thread.name for thread in threading.enumerate() if thread not in before] == ["caching-upkeep"]
    made.close()
    assert [thread for thread in threading.enumerate() if thread not in before] == []
    with pytest.raises(CacheError, match="closed"):
        handle.get("k")


def test_the_tenant_aware_manager_still_refuses(directory, broken):
    made = SyncTenantAwareCacheManager({"directory": directory})
    assert made.get("k", tenant_id="acme") is None
    with pytest.raises(LookupError):
        made.get("k")
    made.close()


EXHAUSTED = """
import resource, logging
logging.disable(logging.CRITICAL)
warm = SyncCacheManager({"cache_levels": 1})  # modules are files, too
warm.get_or_set("k", lambda: 1)
warm.delete("k")
held = []
limit = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, limit[1]))
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
manager = SyncCacheManager({"directory": str(DIRECTORY)})
cache = manager.tenant("acme")
answers = [cache.get("k", "default"), cache.get_or_set("k", lambda: "loaded")]
try:
    cache.delete("k")
except TierUnavailable:
    answers.append("refused")
for fd in held:
    os.close(fd)
until = time.monotonic() + 20
while True:
    try:
        answers.append(cache.set("k", 1))
        break
    except TierUnavailable:
        assert time.monotonic() < until
say([*answers, cache.get("k")])
manager.close()
"""


@pytest.mark.parametrize("used_before", [True, False])
def test_exhausted_descriptors(peer, directory, used_before):
    if used_before:
        SyncCacheManager({"directory": directory}).start().close()
    assert peer(EXHAUSTED).hear() == ["default", "loaded", "refused", True, 1]


FORKED = """
import itertools
import logging
logging.disable(logging.CRITICAL)
manager = SyncCacheManager({"directory": str(DIRECTORY)})
cache = manager.tenant("acme")
assert cache.get("k") is None
pid = os.fork()
if pid == 0:
    say(cache.get("k", "default"))
    hear()
    until = time.monotonic() + 20
    while True:
        try:
            if cache.set("k", "child"):
                break
        except TierUnavailable:
            assert time.monotonic() < until
    say(cache.get("k"))
    os._exit(0)
os.waitpid(pid, 0)
say(cache.get("k"))
"""


def test_a_forked_child_opens_it_for_itself(peer, broken):
    started = peer(FORKED)
    assert started.hear() == "default"
    broken()
    assert started.ask() == "child"
    assert started.hear() in ("child", None)
