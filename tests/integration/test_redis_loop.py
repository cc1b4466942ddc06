"""An event loop is never held up by a server: not by the keys of a new tenant, nor by what clears everything."""

import asyncio
import logging

import pytest

from caching_core import CacheManager, SyncCacheManager
from caching_core.types import Invalidated

VERBS = {
    "a tenant's first read": (lambda manager: manager.tenant("new").get("k", "default"), "default"),
    "a tenant's first write": (lambda manager: manager.tenant("new").set("k", 1), True),
    "clear_all": (lambda manager: manager.clear_all(), Invalidated(1)),
}


@pytest.mark.parametrize("verb", VERBS)
async def test_others_on_the_loop_go_on_while_the_server_is_waited_for(verb, tmp_path, on_redis, valkey_server, caplog):
    caplog.set_level(logging.WARNING, "caching_core")
    act, expected = VERBS[verb]
    async with CacheManager({"directory": str(tmp_path), **on_redis()}) as manager:
        await manager.tenant("known").set("k", 1)
        valkey_server.pause()
        acting = asyncio.ensure_future(act(manager))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not acting.done()  # it waits, and we are here: who held up the loop would wait for its deadline
        valkey_server.resume()
        assert await acting == expected
    assert caplog.messages == []


async def test_tenants_of_a_loop_are_met_side_by_side(tmp_path, on_redis):
    async with CacheManager({"directory": str(tmp_path), **on_redis()}) as manager:
        await asyncio.gather(*(manager.tenant(f"t{number}").set("k", number) for number in range(30)))
        found = await asyncio.gather(*(manager.tenant(f"t{number}").get("k") for number in range(30)))
        assert found == list(range(30))


async def test_both_worlds_have_one_key_of_a_tenant_also_on_the_thread_of_a_loop(tmp_path, on_redis):
    settings = {"directory": str(tmp_path), "l1_enabled": False, **on_redis()}
    async with CacheManager(settings) as manager:
        with SyncCacheManager(settings) as blocking:
            assert blocking.tenant("one").set("k", 1)  # it may not suspend here
            assert await manager.tenant("one").get("k") == 1
            assert await manager.tenant("two").set("k", 2)
            assert blocking.tenant("two").get("k") == 2
