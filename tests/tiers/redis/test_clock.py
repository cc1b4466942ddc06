"""The server's time: learnt from trips that hold no connecting, and versions that only rise."""

import socket
import threading
import time

import pytest

from caching_core.runtime import run_sync
from caching_core.tiers.redis import Address, BlockingLink, Health, RedisStore, ServerClock

SET_UP_SECONDS = 0.2


@pytest.fixture
def slow_to_connect(scripted):
    """A server that takes its time over a password and then tells the time of this host."""
    known, never = set(), threading.Event()

    def answer(connection: socket.socket) -> None:
        if connection not in known:
            known.add(connection)
            never.wait(SET_UP_SECONDS)
            connection.sendall(b"+OK\r\n")
        else:
            seconds, micros = divmod(time.time_ns() // 1000, 1_000_000)
            connection.sendall(b"*2\r\n$10\r\n%d\r\n$6\r\n%06d\r\n" % (seconds, micros))

    return scripted(answer)


def test_the_making_of_a_connection_says_nothing_of_the_time(slow_to_connect):
    link = BlockingLink(Health(Address.parse(f"redis://:word@127.0.0.1:{slow_to_connect.port}")), deadline=5.0)
    store = RedisStore(link)
    store.clock.offset_ns = 0
    run_sync(store.synchronise())
    off_by = store.clock.offset_ns - (time.time_ns() - time.monotonic_ns())
    assert abs(off_by) < SET_UP_SECONDS * 1e9 / 4
    store.close()


def test_versions_rise_when_the_time_is_put_right():
    clock = ServerClock()
    now = time.monotonic()
    clock.learn(time.time_ns() + 50_000_000, now - 0.1, now)
    before = [clock.version_no() for _ in range(3)]
    clock.learn(time.time_ns(), now - 0.0001, now)
    after = [clock.version_no() for _ in range(3)]
    assert before + after == sorted(set(before + after))


def test_a_longer_trip_counts_once_the_shorter_is_old():
    clock = ServerClock()
    clock.learn(10**18, 100.0, 100.001)
    clock.learn(2 * 10**18, 110.0, 110.02)
    assert clock.offset_ns < 1.1 * 10**18
    clock.learn(2 * 10**18, 300.0, 300.02)
    assert clock.offset_ns > 1.9 * 10**18
