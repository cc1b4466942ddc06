"""The thread that looks for a server: it ends when it is told to, waits longer each time it was deceived, and may not be had."""

import socket
import threading

import pytest

from caching_core.errors import TierUnavailable
from caching_core.tiers.redis import Address, BlockingLink, Health, _health

PING = b"*1\r\n$4\r\nPING\r\n"


def pong(connection: socket.socket) -> None:
    connection.sendall(b"+PONG\r\n")


def test_closing_does_not_wait_for_a_probe_that_hangs(asking, scripted, eventually, monkeypatch):
    monkeypatch.setattr(_health, "_PROBE_SECONDS", 3600.0)
    server = scripted(lambda _: None)
    link = asking(server.port)
    with pytest.raises(TierUnavailable):
        link.ask()
    eventually(lambda: server.commands == 2)
    prober = link.health._prober
    closing = threading.Thread(target=link.health.close, daemon=True)
    closing.start()
    closing.join(20)
    prober.join(20)
    assert not closing.is_alive()
    assert not prober.is_alive()


def test_a_server_that_answers_probes_and_nothing_else_is_asked_later_and_later(asking, scripted, monkeypatch):
    link = asking(scripted(pong).port)  # one answer, whatever is asked
    pauses = []
    for _ in range(5):
        with pytest.raises(TierUnavailable):
            link.ask(PING + PING, 2)
        pauses.append(round(link.health._pause, 3))
        assert link.back.wait(20)
        link.back.clear()
    assert pauses == [0.0, 0.25, 0.5, 1.0, 1.0]
    monkeypatch.setattr(_health, "_CALM_SECONDS", 0.0)  # it has been calm for long enough
    with pytest.raises(TierUnavailable):
        link.ask(PING + PING, 2)
    assert round(link.health._pause, 3) == 0.0


def test_the_connection_that_found_the_server_is_used(scripted):
    server = scripted(pong)
    back = threading.Event()
    health = Health(Address.parse(f"redis://127.0.0.1:{server.port}"), on_change=lambda reason: reason or back.set())
    link = BlockingLink(health, deadline=5.0)
    health.lose("for the test")
    assert back.wait(20)
    assert link.ask_now(PING) == [b"PONG"]
    assert server.connections == 1
    link.close()


def test_a_thread_that_is_not_to_be_had_is_made_by_a_later_call(asking, scripted, monkeypatch):
    link = asking(scripted(pong).port)
    assert link.ask() == [b"PONG"]
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        link.health.lose("for the test")
        with pytest.raises(TierUnavailable, match="for the test"):
            link.ask()
    with pytest.raises(TierUnavailable, match="for the test"):
        link.ask()
    assert link.back.wait(20)
    assert link.ask() == [b"PONG"]


def test_no_thread_to_connect_is_no_connection(scripted, monkeypatch):
    link = BlockingLink(Health(Address.parse(f"redis://127.0.0.1:{scripted(pong).port}")), deadline=5.0)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(TierUnavailable, match="no more threads"):
            link.ask_now(PING)
    assert link.ask_now(PING) == [b"PONG"]
    link.close()


def no_thread(_: threading.Thread) -> None:
    raise RuntimeError("no more threads")
