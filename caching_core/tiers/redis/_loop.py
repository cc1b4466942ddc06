"""The link of event loops: one connection per loop, on which calls follow each other without waiting for replies."""

import asyncio
from collections import deque
from typing import Any, Final
from weakref import WeakKeyDictionary

from hiredis import ReplyError
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.connection import SSLConnection as BlockingSSLConnection
from redis.connection import UnixDomainSocketConnection as BlockingUnixConnection
from redis.exceptions import (
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from caching_core.errors import DeadlineExceeded, TierUnavailable
from caching_core.runtime import after_fork_in_child
from caching_core.tiers.redis._address import Address
from caching_core.tiers.redis._health import Health, reason_of

_SECONDS_PER_BYTE: Final = 0.02 / (1 << 20)
# redis-py cuts the first word off an error for which it has a class.
_CODES: Final[dict[type[ResponseError], str]] = {
    NoScriptError: "NOSCRIPT",
    ReadOnlyError: "READONLY",
    OutOfMemoryError: "OOM",
    NoPermissionError: "NOPERM",
    MasterDownError: "MASTERDOWN",
}


class _Line:
    """The connection of one loop. Replies come in the order of the commands: ``_waiting`` says whose is next."""

    __slots__ = ("_connection", "_reader", "_ready", "_sending", "_waiting")

    def __init__(self, address: Address) -> None:
        connection: Any = _connection(address)  # Any: redis-py leaves its methods without annotations
        self._connection = connection
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._sending = asyncio.Lock()
        self._ready = asyncio.ensure_future(self._connection.connect())
        self._reader: asyncio.Task[None] | None = None

    @property
    def is_broken(self) -> bool:
        """Return whether the connection has ended while nobody waited for a reply: nobody would read the next one."""
        return self._reader is not None and self._reader.done()

    async def ask(self, packed: bytes, count: int) -> list[Any]:
        """Send, and wait for the replies. Raises redis-py's errors and OSError."""
        await asyncio.shield(self._ready)
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Any]] = [loop.create_future() for _ in range(count)]
        async with self._sending:
            if self._reader is None:
                self._reader = asyncio.ensure_future(self._read())
            self._waiting.extend(futures)
            await self._connection.send_packed_command([packed])
        return [await future for future in futures]

    async def _read(self) -> None:
        """Hand out replies until the connection breaks; then everybody who waits is told."""
        broken: BaseException = TierUnavailable("the connection was closed")
        try:
            while True:
                try:
                    reply: Any = await self._connection.read_response(disable_decoding=True, timeout=None)
                except ResponseError as error:
                    reply = ReplyError(f"{_CODES.get(type(error), '')} {error}".strip())
                future = self._waiting.popleft()
                if not future.done():  # who was cancelled wants no reply
                    future.set_result(reply)
        except (RedisError, OSError, IndexError) as error:
            broken = error
        finally:
            while self._waiting:
                future = self._waiting.popleft()
                if not future.done():
                    future.set_exception(broken)

    def close(self) -> None:
        """Close without waiting: a loop that ends takes the rest with it."""
        self._ready.cancel()
        if self._reader is not None:
            self._reader.cancel()
        writer = getattr(self._connection, "_writer", None)
        if writer is not None:
            writer.close()


class LoopLink:
    """Connections of this process's event loops to one server, one per loop; made anew in a forked child."""

    answers_at_once = False
    __slots__ = ("__weakref__", "_deadline", "_health", "_lines", "where")

    def __init__(self, health: Health, *, deadline: float) -> None:
        """Connect nothing yet. ``deadline``: seconds that one call may take."""
        self._health = health
        self._deadline = deadline
        self.where = health.address.where
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Line] = WeakKeyDictionary()

    @property
    def lost(self) -> str | None:
        """Why callers are turned away, while the server is away."""
        return self._health.lost

    def ask_now(self, packed: bytes, count: int = 1) -> list[Any] | None:  # noqa: ARG002 -- the port's signature
        """Return None: on a loop nobody may be made to wait."""
        return None

    async def ask(self, packed: bytes, count: int = 1) -> list[Any]:
        """Send packed commands and return their replies, error replies as objects.

        Raises TierUnavailable or DeadlineExceeded after at most the deadline, plus 20 ms per MiB that is sent.
        """
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if self._health.lost is not None:
            self._end(loop, line)
            self._health.refuse()
        elif line is not None and line.is_broken:  # a server ends connections that have been idle; it is not away
            self._end(loop, line)
            line = None
        if line is None:
            line = self._lines[loop] = _Line(self._health.address)
        seconds = self._deadline + len(packed) * _SECONDS_PER_BYTE
        try:
            async with asyncio.timeout(seconds):
                return await line.ask(packed, count)
        except TimeoutError:
            failure: TierUnavailable = DeadlineExceeded(f"the server {self.where} did not answer within {seconds:g} s")
        except (RedisError, OSError) as error:
            failure = TierUnavailable(f"the connection to {self.where} failed: {reason_of(error)}")
        except TierUnavailable as error:
            failure = error
        self._end(loop, line)
        self._health.lose(str(failure))
        raise failure

    def _end(self, loop: asyncio.AbstractEventLoop, line: _Line | None) -> None:
        if line is not None and self._lines.get(loop) is line:
            del self._lines[loop]
            line.close()

    def close(self) -> None:
        """Close the connection of the running loop; those of other loops end with their loops."""
        self._health.close()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._end(loop, self._lines.get(loop))


def _connection(address: Address) -> Connection | SSLConnection | UnixDomainSocketConnection:
    # Any: each option has its own type. No timeout of a read: the line's reader waits for as long as nobody asks, and who asks
    # has a deadline of his own.
    options: dict[str, Any] = {**address.options, "retry": Retry(NoBackoff(), 0), "socket_timeout": None}
    if issubclass(address.kind, BlockingSSLConnection):
        return SSLConnection(**options)
    if issubclass(address.kind, BlockingUnixConnection):
        return UnixDomainSocketConnection(**options)
    return Connection(**options)
