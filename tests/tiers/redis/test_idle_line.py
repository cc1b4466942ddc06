"""A loop's connection that has been idle answers the next call as well as the first."""

import asyncio

import pytest

from caching_core.tiers.redis import Address, Health, LoopLink, _address

PING = b"*1\r\n$4\r\nPING\r\n"
CONNECT_SECONDS = 0.3


@pytest.fixture
def link(valkey_server, monkeypatch):
    """A link whose connections have less time to connect than they are idle here; its server is never taken for away."""
    monkeypatch.setattr(_address, "CONNECT_SECONDS", CONNECT_SECONDS)
    told = []
    yield LoopLink(Health(Address.parse(valkey_server.url.reveal()), on_change=told.append), deadline=10)
    assert told == []


def reader_of(link):
    return link._lines[asyncio.get_running_loop()]._reader


async def close(link):
    link.close()
    await asyncio.sleep(0)


async def test_a_connection_that_the_server_has_ended_is_made_anew(link, valkey_server):
    assert await link.ask(PING) == [b"PONG"]
    reader = reader_of(link)
    valkey_server.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await asyncio.wait([reader], timeout=10)
    assert reader.done()
    assert await link.ask(PING) == [b"PONG"]
    assert reader_of(link) is not reader
    await close(link)


async def test_a_connection_waits_for_as_long_as_nobody_asks(link):
    assert await link.ask(PING) == [b"PONG"]
    reader = reader_of(link)
    ended, _ = await asyncio.wait([reader], timeout=2 * CONNECT_SECONDS)
    assert not ended
    assert await link.ask(PING) == [b"PONG"]
    await close(link)
