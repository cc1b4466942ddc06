"""The Redis tier passes the contract of a store, on a real server."""

from dataclasses import replace
from pathlib import Path

import pytest
import redis

from caching_core.testing import ManualClock, TierContract, World
from caching_core.testing._stage import Stage, driven
from caching_core.tiers import Delete, Put
from caching_core.tiers.redis import Address, BlockingLink, Health, LoopLink, RedisStore

# Time that passes for a server's keys: each ends that much earlier.
PASS = """
local shift, cursor = tonumber(ARGV[1]), '0'
repeat
  local found = redis.call('SCAN', cursor, 'COUNT', 1000)
  cursor = found[1]
  for _, key in ipairs(found[2]) do
    local left = redis.call('PTTL', key)
    if left >= 0 then
      if left <= shift then redis.call('DEL', key) else redis.call('PEXPIRE', key, string.format('%.0f', left - shift)) end
    end
  end
until cursor == '0'
"""


class ServerTime(ManualClock):
    """A manual clock that takes a server's limits with it."""

    __slots__ = ("_server",)

    def __init__(self, server: redis.Redis) -> None:
        super().__init__()
        self._server = server

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        self._server.eval(PASS, 0, round(seconds * 1000))


class TestRedisStore(TierContract):
    margin = 0.25
    is_exact = False

    @pytest.fixture(autouse=True, params=[2, 3])
    def server(self, valkey_server, request):
        self.url = f"{valkey_server.url.reveal()}?protocol={request.param}"
        self.client = redis.Redis.from_url(valkey_server.url.reveal())
        yield
        self.client.close()

    def make_clock(self) -> ManualClock:
        return ServerTime(self.client)

    def open_store(self, world: World, clock: ManualClock, directory: Path) -> RedisStore:
        health = Health(Address.parse(self.url))
        link = (BlockingLink if world == "blocking" else LoopLink)(health, deadline=2.0)
        return RedisStore(link, now_ms=clock.now_ms)

    # The frames of these bear no version, and this tier reads it there: below they do.
    test_a_fill_is_compared_too = None
    test_a_newer_version_stands_whoever_comes_last = None
    test_a_put_now_that_is_refused_leaves_the_lease = None
    test_a_put_refused_for_its_version_leaves_the_lease = None
    test_put_now_and_mutate_obey_one_order = None
    test_versions_are_compared_change_by_change = None

    @driven
    async def test_a_lower_version_is_refused_and_leaves_the_lease(self, stage: Stage) -> None:
        store, other = stage.store, stage.open()
        high, low = (1 << 53) + 1, 1 << 53  # apart in the last bit, beyond what a double tells apart
        assert list((await store.mutate([versioned(high)])).done) == [True]
        assert (await store.lease("cc:k", b"t" * 16, 1000, tenant="acme", bad=versioned(high).frame[56:80], fields=[])).granted
        assert list((await other.mutate([versioned(low)])).done) == [False]
        assert not other.put_now("cc:k", versioned(low).frame, None, low)
        assert await store.get("cc:k") == b"\0" + versioned(high).frame
        fill = replace(versioned(high + 1), token=b"t" * 16)
        assert list((await store.mutate([fill])).done) == [True]
        assert list((await other.mutate([Delete("cc:k"), versioned(low)])).done) == [True, True]


def versioned(version: int) -> Put:
    """A change whose frame bears its version where frames do."""
    frame = b"\xcc\xe1" + bytes(30) + version.to_bytes(8) + bytes(16) + version.to_bytes(24) + b"body"
    return Put("cc:k", frame, None, version_no=version)
