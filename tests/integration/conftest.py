"""Real processes on one directory: peers that a test talks to line by line, and managers that are closed whatever happens."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from caching_core import CacheManager, SyncCacheManager
from caching_core.runtime import run_sync

PRELUDE = """
import json, os, sys, threading, time
from pathlib import Path
from caching_core import *
from caching_core.errors import *

def say(thing):
    print(json.dumps(thing), flush=True)

def hear():
    line = sys.stdin.readline()
    if not line:
        os._exit(3)
    return json.loads(line)

DIRECTORY = Path(sys.argv[1])
ARGUMENTS = json.loads(sys.argv[2])
"""


class Peer:
    """Another process, fresh from fork and exec, that runs a script and answers line by line."""

    def __init__(self, script: str, directory: Path, arguments: dict, environ: dict):
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PRELUDE + script, str(directory), json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environ},
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def say(self, thing=None) -> None:
        self.process.stdin.write(json.dumps(thing) + "\n")
        self.process.stdin.flush()

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            pytest.fail(f"the peer ended with {self.process.wait()}:\n{self.process.stderr.read()}")
        return json.loads(line)

    def ask(self, thing=None):
        self.say(thing)
        return self.hear()

    def end(self, code: int = 0) -> str:
        """Wait for a clean end and return what it wrote to stderr."""
        _, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == code, errors
        return errors

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def directory(tmp_path) -> Path:
    """The cache's directory."""
    return tmp_path / "cache"


@pytest.fixture
def peer(directory):
    """Start a peer: ``peer(script, name=argument...)``."""
    peers = []

    def start(script: str, environ: dict | None = None, **arguments) -> Peer:
        peers.append(Peer(script, directory, arguments, environ or {}))
        return peers[-1]

    yield start
    for each in peers:
        each.kill()


@pytest.fixture
def manager(directory):
    """Make a blocking manager on the directory; closed at the end."""
    made = []

    def make(**settings) -> SyncCacheManager:
        made.append(SyncCacheManager({"directory": str(directory), **settings}))
        return made[-1]

    yield make
    for each in made:
        each.close()


class Awaitable:
    """A blocking manager or handle whose methods are awaited, so that one test body serves both worlds."""

    def __init__(self, below):
        self._below = below

    def tenant(self, *names, **options):
        return Awaitable(self._below.tenant(*names, **options))

    def __getattr__(self, name):
        method = getattr(self._below, name)

        async def call(*given, **options):
            return method(*given, **options)

        return call


@pytest.fixture
def open_cache(world, directory):
    """Make a manager of the test's world, whose methods are awaited: ``open_cache(**settings)``."""
    made = []

    def make(kind=None, **settings):
        settings = {"directory": str(directory), **settings}
        if world == "blocking":
            made.append((kind or SyncCacheManager)(settings))
            return Awaitable(made[-1])
        made.append((kind or CacheManager)(settings))
        return made[-1]

    yield make
    for each in made:
        if isinstance(each, SyncCacheManager):
            each.close()
        else:
            run_sync(each.close())


@pytest.fixture
def store_file(directory) -> Callable[[], Path]:
    """Return the store's current file."""

    def find() -> Path:
        (path,) = directory.glob("cache-*.db")
        return path

    return find
