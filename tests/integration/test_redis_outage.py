"""A server that is absent, hung, killed, and back: the application goes on with what is left, and nothing is told falsely."""

import asyncio
import logging
import time
from base64 import b64encode

import pytest

from caching_core import CacheManager, SyncCacheManager
from caching_core.errors import TierUnavailable
from caching_core.insight import Condition

BREAK = {"killed": "kill", "hung": "pause", "stopped": "stop"}
MEND = {"killed": "start", "hung": "resume", "stopped": "start"}


@pytest.fixture
def server(valkey_factory):
    """A server to break."""
    return valkey_factory()


@pytest.fixture
def open_manager(tmp_path, server):
    """Make a manager on the server; closed at the end."""
    made = []

    def make(**settings):
        shared = {"redis_url": server.url.reveal(), "encryption_key": b64encode(bytes(range(32))).decode()}
        made.append(SyncCacheManager({"directory": str(tmp_path / "cache"), **shared, **settings}))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(params=BREAK)
def broken(request, server):
    """Break the server, one way after the other; returns how to mend it."""

    def do():
        getattr(server, BREAK[request.param])()
        return getattr(server, MEND[request.param])

    return do


def test_reads_miss_and_what_is_not_done_is_said(open_manager, broken, eventually):
    cache = open_manager().tenant("acme")
    cache.set("old", 1)
    cache.set("held", 1)
    assert cache.get("held") == 1
    mend = broken()
    assert cache.get("old") is None
    assert cache.get("held") == 1  # from memory
    assert cache.set("new", 1) is False
    for verb in (lambda: cache.delete("old"), lambda: cache.invalidate_tags("t"), cache.clear):
        assert verb().pending
    assert cache.get_or_set("loaded", lambda: 5) == 5
    assert cache.get("loaded") == 5  # memory is what is left
    with pytest.raises(TierUnavailable):
        cache.incr("n")
    mend()
    eventually(lambda: cache.set("new", 2))
    assert cache.get("new") == 2


def test_what_was_changed_while_it_was_away_is_gone_from_memory(open_manager, broken):
    cache = open_manager().tenant("acme")
    cache.set("k", 1)
    assert cache.get("k") == 1
    broken()
    cache.set("k", 2)
    assert cache.get("k") is None


def test_strict_raises_instead(open_manager, broken):
    cache = open_manager(strict=True).tenant("acme")
    cache.set("k", 1)
    broken()
    for verb in (lambda: cache.set("k", 2), lambda: cache.delete("k"), lambda: cache.get("other"), lambda: cache.invalidate_tags("t")):
        with pytest.raises(TierUnavailable):
            verb()


def test_it_is_said_once_that_it_went_and_once_that_it_came(open_manager, broken, eventually, caplog):
    caplog.set_level(logging.WARNING, "caching_core")
    cache = open_manager().tenant("acme")
    cache.set("k", 1)
    mend = broken()
    for number in range(20):
        cache.get(f"k{number}")
    assert [said[:18] for said in caplog.messages] == ["tier redis is away"]
    mend()
    eventually(lambda: cache.set("k", 2))
    eventually(lambda: caplog.messages[1:] == ["tier redis is back"])


def test_an_application_starts_without_it_and_gets_it_as_soon_as_it_is_there(open_manager, server, eventually, caplog):
    caplog.set_level(logging.WARNING, "caching_core")
    server.stop()
    manager = open_manager()
    manager.start()
    cache = manager.tenant("acme")
    assert cache.get("k", "default") == "default"
    assert cache.set("k", 1) is False
    assert cache.get_or_set("loaded", lambda: 5) == cache.get("loaded") == 5
    assert [level.condition for level in manager.health().tiers] == [Condition.UP, Condition.DOWN]
    assert len(caplog.messages) == 1
    assert "redis" in caplog.messages[0]
    server.start()
    eventually(lambda: cache.set("k", 2))
    assert cache.get("k") == 2
    assert cache.get("loaded") is None  # what was put beside the server is not trusted with it
    assert [level.condition for level in manager.health().tiers] == [Condition.UP, Condition.UP]


def test_a_strict_one_does_not_start(open_manager, server):
    server.stop()
    with pytest.raises(TierUnavailable):
        open_manager(strict=True).start()


def leases(server):
    with server.connect() as connection:
        return connection.call("KEYS", "*@lease:*")


def test_a_lease_whose_answer_was_lost_is_given_back(open_manager, server, eventually):
    manager = open_manager(security_enabled=False)
    manager.tenant("other").get_or_set("warm", lambda: 1)  # the server knows the script
    cache = manager.tenant("acme")
    server.pause()
    assert cache.get_or_set("k", lambda: 5) == 5  # its first request is for the lease, and waits in the server
    server.resume()
    eventually(lambda: cache.set("other", 1))
    eventually(lambda: leases(server) == [], timeout=15)


async def test_so_is_that_of_a_caller_who_went_away(tmp_path, server, eventually):
    shared = {"redis_url": server.url.reveal(), "encryption_key": b64encode(bytes(range(32))).decode(), "l2": {"deadline": 10}}
    async with CacheManager({"directory": str(tmp_path / "cache"), **shared}) as manager:
        cache = manager.tenant("acme")
        await cache.get_or_set("warm", lambda: 1)
        server.pause()
        callers = [asyncio.create_task(cache.get_or_set(f"k{number}", lambda: 5)) for number in range(20)]
        for _ in range(5):
            await asyncio.sleep(0)  # until each has asked
        for caller in callers:
            caller.cancel()
        assert all(isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*callers, return_exceptions=True))
        server.resume()
        await asyncio.to_thread(eventually, lambda: leases(server) == [], 15)
        assert await cache.get_or_set("k0", lambda: 6) == 6


def test_who_starts_without_it_hears_at_once_what_the_others_of_the_host_invalidate(open_manager, server):
    first = open_manager(l1_max_age=3600.0).tenant("acme")
    first.set("k", 1)
    server.pause()
    second = open_manager(l1_max_age=3600.0, metrics_namespace="second").tenant("acme")
    assert second.get_or_set("k", lambda: "old") == "old"
    assert second.get("k") == "old"
    first.delete("k")  # pending or not: it is gone from the memory of every process here
    assert second.get("k") is None


def test_one_that_hears_nobody_keeps_no_copy_for_long(open_manager, server, eventually):
    server.stop()
    cache = open_manager(l1_max_age=3600.0).tenant("acme")  # the first of its host
    assert cache.get_or_set("k", lambda: "old") == "old"
    eventually(lambda: cache.get("k") is None)


def test_its_stamps_are_given_up_where_others_begin_the_server_anew(open_manager, server, eventually):
    open_manager().tenant("acme").set("k", 1)
    server.pause()
    away = open_manager(l1_max_age=3600.0, metrics_namespace="second")
    assert away.tenant("acme").get_or_set("k", lambda: "old") == "old"
    server.resume()
    with server.connect() as connection:
        connection.call("FLUSHALL", "SYNC")
    open_manager(metrics_namespace="third").start()
    eventually(lambda: away.tenant("acme").set("l", 2))
    assert away.tenant("acme").get("k") is None


def test_a_set_that_comes_late_is_not_done(open_manager, server, eventually):
    cache = open_manager(l1_enabled=False).tenant("acme")
    cache.set("k", "old")
    server.pause()
    assert cache.set("k", "new") is False  # it waits in the server, whose caller has been told that it was not done
    late = time.monotonic() + 0.4
    eventually(lambda: time.monotonic() > late)
    server.resume()
    eventually(lambda: cache.set("other", 1))
    assert cache.get("k") == "old"
