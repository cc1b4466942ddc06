"""Connections that end, or take long to come about, while the server is there: no call pays for it, and nothing is done twice."""

import asyncio
import socket
import threading
from functools import partial

import pytest

from caching_core.errors import DeadlineExceeded, TierUnavailable
from caching_core.runtime import run_sync
from caching_core.tiers import Delete
from caching_core.tiers.redis import Address, BlockingLink, Health, LoopLink, RedisStore, _wire

PING = b"*1\r\n$4\r\nPING\r\n"
SET_UP_SECONDS = 0.15
MIB = 1 << 20


def pong(connection: socket.socket) -> None:
    connection.sendall(b"+PONG\r\n")


def in_turn(answers: list, connection: socket.socket) -> None:
    """Answer each command in its own way."""
    answers.pop(0)(connection)


@pytest.fixture
def slow_to_connect(scripted):
    """Make a server that takes longer over a password than a call may take, and answers at once afterwards."""

    def make():
        known, never = set(), threading.Event()

        def answer(connection: socket.socket) -> None:
            if connection in known:
                pong(connection)
            else:
                known.add(connection)
                never.wait(SET_UP_SECONDS)
                connection.sendall(b"+OK\r\n")

        return scripted(answer)

    return make


def test_what_ended_while_idle_is_not_used(scripted, monkeypatch):
    monkeypatch.setattr(_wire, "_TRUSTED_SECONDS", 0.0)  # idle for however short a time
    server = scripted()
    told = []
    link = BlockingLink(Health(Address.parse(f"redis://127.0.0.1:{server.port}"), on_change=told.append), deadline=5.0)
    met = threading.Barrier(8)
    server.answer = lambda connection: (met.wait(20), pong(connection))
    threads = [threading.Thread(target=link.ask_now, args=(PING,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.connections == 8
    server.answer = pong
    server.end_all()
    for _ in range(8):
        assert link.ask_now(PING) == [b"PONG"]
    assert server.connections == 9
    assert told == []
    link.close()


def test_what_may_be_done_twice_is_asked_again_where_its_connection_ends(asking, scripted):
    answers = [pong, lambda connection: connection.shutdown(socket.SHUT_RDWR), pong]
    server = scripted(partial(in_turn, answers))
    link = asking(server.port, deadline=5.0)
    assert link.ask() == [b"PONG"]
    assert link.ask(again=True) == [b"PONG"]
    assert (server.commands, server.connections, link.told) == (3, 2, [])


def test_what_may_be_done_once_only_is_not_sent_again(asking, scripted):
    answers = [pong, lambda connection: connection.shutdown(socket.SHUT_RDWR), pong]
    server = scripted(partial(in_turn, answers))
    link = asking(server.port, deadline=5.0)
    change = b"*1\r\n$4\r\nINCR\r\n"
    assert link.ask(change) == [b"PONG"]
    with pytest.raises(TierUnavailable):
        link.ask(change)
    assert link.back.wait(20)
    assert server.received == 2 * len(change) + len(PING)


@pytest.mark.parametrize("kind", [BlockingLink, LoopLink])
def test_a_removal_is_done_after_the_server_has_ended_all_connections(valkey_server, kind):
    told = []
    store = RedisStore(kind(Health(Address.parse(valkey_server.url.reveal()), on_change=told.append), deadline=5.0))
    valkey_server.call("SET", "cc:k", "x")

    async def trip() -> None:
        assert await store.get("cc:k") == b"x"
        assert valkey_server.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert (await store.mutate([Delete("cc:k")])).done == [True]
        assert await store.get("cc:k") is None
        store.close()

    if kind is LoopLink:
        asyncio.run(trip())
    else:
        run_sync(trip())
    assert told == []


def test_a_connection_that_takes_longer_than_a_call_comes_about(asking, slow_to_connect, eventually):
    server = slow_to_connect()
    link = asking(server.port, deadline=SET_UP_SECONDS / 2, password="word")
    with pytest.raises(DeadlineExceeded):
        link.ask()

    def is_answered() -> bool:
        try:
            return link.ask() == [b"PONG"]
        except TierUnavailable:
            return False

    eventually(is_answered)
    made = server.connections
    assert link.ask() == [b"PONG"]
    assert made == server.connections <= 2  # that of the first call, and the probe's, which is used as well


def test_who_may_wait_for_a_connection_has_one_for_the_calls(slow_to_connect):
    server = slow_to_connect()
    told = []
    health = Health(Address.parse(f"redis://:word@127.0.0.1:{server.port}"), on_change=told.append)
    link = BlockingLink(health, deadline=SET_UP_SECONDS / 2)
    link.reach(20)
    assert link.ask_now(PING) == [b"PONG"]
    assert (server.connections, told) == (1, [])
    link.close()


def test_a_late_connection_of_a_loop_turns_nobody_else_away(slow_to_connect):
    server = slow_to_connect()
    told = []
    health = Health(Address.parse(f"redis://:word@127.0.0.1:{server.port}"), on_change=told.append)
    link = LoopLink(health, deadline=SET_UP_SECONDS / 2)

    async def ask_until_answered() -> list:
        with pytest.raises(DeadlineExceeded):
            await link.ask(PING)
        with pytest.raises(DeadlineExceeded, match="being made"):
            await link.ask(PING)
        await link._lines[asyncio.get_running_loop()]._ready
        replies = await link.ask(PING)
        link.close()
        return replies

    assert asyncio.run(ask_until_answered()) == [b"PONG"]
    assert told == []


def test_an_upload_has_one_deadline_for_all_its_sends(scripted):
    drained = threading.Event()
    server = scripted(lambda _: drained.wait(0.02) and None)
    link = BlockingLink(Health(Address.parse(f"redis://127.0.0.1:{server.port}")), deadline=0.1)
    with pytest.raises(DeadlineExceeded):
        link.ask_now(bytes(32 * MIB))
    assert server.received < 16 * MIB
    drained.set()
    link.close()


def test_calls_behind_an_upload_on_a_loop_have_its_time_too(scripted):
    upload, late = bytes(32 * MIB), threading.Event()

    def answer(connection: socket.socket) -> None:
        if server.received == len(upload) + 2 * len(PING):
            late.wait(0.2)
            connection.sendall(b"+PONG\r\n" * 3)

    server = scripted(answer)
    told = []
    link = LoopLink(Health(Address.parse(f"redis://127.0.0.1:{server.port}"), on_change=told.append), deadline=0.1)

    async def ask_together() -> list:
        asked = [asyncio.ensure_future(link.ask(packed)) for packed in (upload, PING, PING)]
        replies = await asyncio.gather(*asked)
        link.close()
        return replies

    assert asyncio.run(ask_together()) == [[b"PONG"]] * 3
    assert told == []
