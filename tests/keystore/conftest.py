"""A keystore of its own for each test, and rows to put there."""

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from caching_core.crypto import KeyRow, KeyState
from caching_core.keystore import SqliteKeyStore


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
