"""The port for scrapes: on loopback alone, one process of the host has it, and it goes with its cache."""

import os
import socket
import urllib.request
from urllib.error import HTTPError

import pytest

from caching_core import SyncCacheManager
from caching_core.insight import MetricsPort


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
