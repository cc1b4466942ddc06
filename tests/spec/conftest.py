"""What the calls of the specification work on: a manager over a fresh directory, and data."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

Opened = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture
def opened(tmp_path) -> Opened:
    """Open a CacheManager on the test's directory, as often as wanted; leaving closes it."""

    @asynccontextmanager
    async def manager(**settings: object) -> AsyncIterator[Any]:
        from caching_core import CacheManager

        made = CacheManager({"directory": str(tmp_path / "cache"), "l1_max_size": 1000, **settings})
        await made.start()
        try:
            yield made
        finally:
            await made.close()

    return manager


class Message:
    """Stands for a generated protobuf class: the two methods that the specification calls."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and other.text == self.text

    __hash__ = None

    def SerializeToString(self) -> bytes:  # noqa: N802 - the name that protobuf gives it
        return self.text.encode()

    @classmethod
    def ParseFromString(cls, data: bytes) -> "Message":  # noqa: N802 - the same
        return cls(data.decode())


@pytest.fixture
def data() -> dict[str, Any]:
    """The names that the blocks use and do not define."""
    return {
        "user_data": {"id": 123, "name": "Ada", "plan": None},
        "session_data": {"sid": "abc", "flags": [True, False]},
        "config_data": {"theme": "dark"},
        "different_config": {"theme": "light"},
        "sensitive_data": {"password": "correct horse battery staple"},
        "generate_large_dataset": lambda: [{"day": day, "plays": day * 37 % 101, "country": "DE"} for day in range(5_000)],
        "MyProtobufClass": Message,
    }
