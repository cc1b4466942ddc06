"""A keystore of its own for each test, in a file or in a server, and rows to put there."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from caching_core.crypto import KeyRow, KeyState
from caching_core.keystore import RedisKeyStore, SqliteKeyStore
from caching_core.runtime import run_sync
from caching_core.tiers.redis import Address, BlockingLink, Health, LoopLink


def make_row(state: KeyState = KeyState.PRIMARY, *, key_id: bytes | None = None, wrapped: bytes | None = None) -> KeyRow:
    """Make a row with an id and a wrapped key of its own."""
    return KeyRow(
        key_id=key_id or secrets.token_bytes(16),
        state=state,
        wrapped=wrapped or secrets.token_bytes(60),
        kek_id=b"kek-1",
        created_ms=1_700_000_000_000,
    )


@pytest.fixture(scope="session")
def row() -> Callable[..., KeyRow]:
    return make_row


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "keys.db"


@pytest.fixture
def store(path: Path):
    opened = SqliteKeyStore(path)
    yield opened
    opened.close()


class Files:
    """Keystores in SQLite files."""

    run = staticmethod(run_sync)

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._made: list[SqliteKeyStore] = []

    def anew(self) -> SqliteKeyStore:
        """Open a keystore in which nothing ever was."""
        self._number += 1
        return self.open()

    def open(self) -> SqliteKeyStore:
        """Open the same one as another process would."""
        self._made.append(SqliteKeyStore(self._folder / f"state-{self._number}" / "keys.db"))
        return self._made[-1]

    def close(self) -> None:
        for store in self._made:
            store.close()


class Servers:
    """Keystores in a server, in the world of the link."""

    def __init__(self, server, world: str, protocol: int) -> None:
        self._server = server
        self._address = Address.parse(f"{server.url.reveal()}?protocol={protocol}")
        self._runner = asyncio.Runner() if world == "loop" else None
        self._links: list[BlockingLink | LoopLink] = []

    def run(self, coro: Coroutine[Any, Any, Any]) -> Any:
        return run_sync(coro) if self._runner is None else self._runner.run(coro)

    def anew(self) -> RedisKeyStore:
        """Open a keystore in which nothing ever was."""
        self.call("FLUSHALL", "SYNC")
        return self.open()

    def open(self) -> RedisKeyStore:
        """Open the same one as another host would."""
        self._links.append((BlockingLink if self._runner is None else LoopLink)(Health(self._address), deadline=5.0))
        return RedisKeyStore(self._links[-1])

    def call(self, *arguments: str | bytes | int) -> Any:
        """Act as somebody at the server."""
        with self._server.connect() as connection:
            return connection.call(*arguments)

    def close(self) -> None:
        if self._runner is None:
            self._close_links()
        else:
            self._runner.run(self._closed())
            self._runner.close()

    async def _closed(self) -> None:
        self._close_links()
        await asyncio.sleep(0)

    def _close_links(self) -> None:
        while self._links:
            self._links.pop().close()


SERVERS = {"redis-resp2": ("blocking", 2), "redis-resp3": ("blocking", 3), "redis-loop": ("loop", 2)}


@pytest.fixture(params=SERVERS)
def servers(request):
    made = Servers(request.getfixturevalue("valkey_server"), *SERVERS[request.param])
    yield made
    made.close()


@pytest.fixture(params=["sqlite", *SERVERS])
def place(request, tmp_path):
    chosen = SERVERS.get(request.param)
    made = Files(tmp_path) if chosen is None else Servers(request.getfixturevalue("valkey_server"), *chosen)
    yield made
    made.close()
