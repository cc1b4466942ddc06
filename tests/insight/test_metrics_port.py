"""The port for scrapes: on loopback alone, one process of the host has it, and it goes with its cache."""

import os
import select
import socket
import struct
import threading
import time
import urllib.request
from urllib.error import HTTPError

import pytest

from caching_core import SyncCacheManager
from caching_core.insight import MetricsPort, _metrics_port


@pytest.fixture
def serve():
    """Make ports that answer with a text; all are stopped at the end."""
    made = []

    def make(port=0, text="cache_hits_total 1\n"):
        made.append(MetricsPort(port, lambda: text))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def scrape(port, path="/metrics", **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.headers["Content-Type"], response.read().decode()


def test_a_scrape(serve):
    port = serve()
    assert port.ensure()
    assert port.ensure()
    kind, text = scrape(port.port)
    assert kind.startswith("text/plain; version=")
    assert text == "cache_hits_total 1\n"


@pytest.mark.parametrize(("path", "host", "code"), [("/", "127.0.0.1", 404), ("/metrics", "attacker.example", 421)])
def test_nothing_else_is_answered(path, host, code, serve):
    port = serve()
    port.ensure()
    with pytest.raises(HTTPError) as refused:
        scrape(port.port, path, Host=host)
    refused.value.close()
    assert refused.value.code == code


def test_the_first_has_it_and_the_next_when_it_is_gone(serve):
    first = serve(text="first")
    first.ensure()
    second = serve(first.port, "second")
    assert not second.ensure()
    assert second.port is None
    number = first.port
    first.stop()
    assert second.ensure()
    assert scrape(number)[1] == "second"
    assert not first.ensure()  # stopped is stopped


def test_who_says_nothing_keeps_nobody_out(serve):
    port = serve()
    port.ensure()
    with socket.create_connection(("127.0.0.1", port.port)):
        assert scrape(port.port)[1] == "cache_hits_total 1\n"


@pytest.fixture
def dripping():
    """Send a request byte by byte, for 20 s unless the other end hangs up: ``dripping(port)`` returns an event that says so."""
    threads = []

    def send(client, hung_up):
        given_up = time.monotonic() + 20
        with client:
            try:
                while time.monotonic() < given_up:
                    client.sendall(b"a")
                    select.select([client], [], [], 0.05)
            except OSError:
                hung_up.set()

    def start(port):
        client, hung_up = socket.create_connection(("127.0.0.1", port)), threading.Event()
        client.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        threads.append(threading.Thread(target=send, args=(client, hung_up)))
        threads[-1].start()
        return hung_up

    yield start
    for each in threads:
        each.join()


def test_who_sends_without_end_keeps_nobody_out(serve, dripping):
    port = serve()
    port.ensure()
    hung_up = dripping(port.port)
    assert scrape(port.port)[1] == "cache_hits_total 1\n"  # after the other's time, which has an end
    assert hung_up.wait(10)


def test_stopping_hangs_up_on_the_request_that_is_under_way(monkeypatch, serve, dripping):
    monkeypatch.setattr(_metrics_port, "_REQUEST_SECONDS", 3600.0)
    port = serve()
    port.ensure()
    reached = threading.Event()
    server = port._server
    monkeypatch.setattr(server, "finish_request", lambda *given: (reached.set(), type(server).finish_request(server, *given)))
    hung_up = dripping(port.port)
    assert reached.wait(20)
    port.stop()
    assert hung_up.wait(10)


def test_a_client_that_leaves_writes_no_traceback(serve, capfd):
    port = serve(text="x" * 10_000_000)
    port.ensure()
    with socket.create_connection(("127.0.0.1", port.port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # leaves with a reset
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(1) == b"H"
    port.stop()
    assert capfd.readouterr().err == ""


def test_a_forked_child_leaves_it_to_its_parent(serve):
    port = serve()
    port.ensure()
    child = os.fork()
    if not child:
        os._exit(0 if port.port is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert scrape(port.port)[1] == "cache_hits_total 1\n"


@pytest.mark.parametrize("settings", [{}, {"cache_levels": 1}], ids=["disk", "memory"])
def test_a_manager_serves_it_from_its_start_to_its_end(tmp_path, settings, eventually):
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    with SyncCacheManager({"directory": str(tmp_path), "metrics_port": number, **settings}) as manager:
        manager.tenant("acme").set("k", 1)

        def text():
            try:
                return scrape(number)[1]
            except OSError:
                return ""

        assert "acme" in eventually(text)
    with pytest.raises(OSError):
        scrape(number)
