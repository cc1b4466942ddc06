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
from redis.exceptions import ConnectionError as ServerConnectionError
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
from caching_core.tiers.redis._address import CONNECT_SECONDS, Address
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

    __slots__ = ("_connection", "_health", "_reader", "_ready", "_sending", "_waiting", "in_flight", "is_late", "losses")

    def __init__(self, health: Health) -> None:
        connection: Any = _connection(health.address)  # Any: redis-py leaves its methods without annotations
        self._connection = connection
        self._health = health
        self.losses = health.losses
        self.in_flight = 0
        self.is_late = False
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._sending = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None
        self._ready = asyncio.ensure_future(self._connect())
        self._ready.add_done_callback(self._begin)

    async def _connect(self) -> None:
        """Connect and authenticate: however long the calls have, it takes its time. Raises redis-py's errors and OSError."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._connection.connect()
        except (ValueError, TypeError, AttributeError) as error:  # an option of the address that redis-py looks at only here
            raise ServerConnectionError(type(error).__name__) from error

    def _begin(self, ready: asyncio.Task[None]) -> None:
        if ready.cancelled():
            return
        error = ready.exception()
        if error is None:
            self._reader = asyncio.ensure_future(self._read())
        elif self.losses == self._health.losses:  # what was begun before an outage says nothing of what came after
            self._health.lose(f"no connection to {self._health.address.where}: {reason_of(error)}")

    @property
    def is_connecting(self) -> bool:
        """Return whether the connection is being made."""
        return not self._ready.done()

    @property
    def is_broken(self) -> bool:
        """Return whether the connection is of no use: it was not to be had, or has ended while nobody waited for a reply."""
        if self._reader is not None:
            return self._reader.done()
        if self.is_connecting:
            return self.losses != self._health.losses
        return self._ready.cancelled() or self._ready.exception() is not None

    async def ask(self, packed: bytes, count: int) -> list[Any]:
        """Send, and wait for the replies. Raises redis-py's errors and OSError."""
        self.in_flight += len(packed)
        try:
            if not self._ready.done():
                await asyncio.shield(self._ready)
            loop = asyncio.get_running_loop()
            futures: list[asyncio.Future[Any]] = [loop.create_future() for _ in range(count)]
            async with self._sending:
                self._waiting.extend(futures)
                await self._connection.send_packed_command([packed])
            return [await future for future in futures]
        finally:
            self.in_flight -= len(packed)

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

    def ask_now(self, packed: bytes, count: int = 1, *, again: bool = False) -> list[Any] | None:  # noqa: ARG002 -- the port's signature
        """Return None: on a loop nobody may be made to wait."""
        return None

    async def ask(self, packed: bytes, count: int = 1, *, again: bool = False) -> list[Any]:
        """Send packed commands and return their replies, error replies as objects.

        ``again``: they may be done twice, so that they are sent once more where a connection ends that had been in use.
        Raises TierUnavailable or DeadlineExceeded after at most the deadline, plus 20 ms per MiB that is sent, by this call or
        before it on the same connection.
        """
        loop = asyncio.get_running_loop()
        line, is_new = self._line(loop)
        seconds = self._deadline + (len(packed) + line.in_flight) * _SECONDS_PER_BYTE
        try:
            async with asyncio.timeout(seconds):
                try:
                    return await line.ask(packed, count)
                except (ServerConnectionError, OSError):
                    if is_new or not again:
                        raise
                self._end(loop, line)
                line, _ = self._line(loop)
                return await line.ask(packed, count)
        except TimeoutError:
            failure: TierUnavailable = DeadlineExceeded(f"the server {self.where} did not answer within {seconds:g} s")
            if line.is_connecting:  # which is not to be given up: it would never come about where it takes longer than a call may
                line.is_late = True
                raise failure from None
        except (RedisError, OSError) as error:
            failure = TierUnavailable(f"the connection to {self.where} failed: {reason_of(error)}")
        except TierUnavailable as error:
            failure = error
        self._end(loop, line)
        self._health.lose(str(failure))
        raise failure

    def _line(self, loop: asyncio.AbstractEventLoop) -> tuple[_Line, bool]:
        """Return the loop's connection and whether it is a new one. Raises TierUnavailable."""
        line = self._lines.get(loop)
        if self._health.lost is not None:
            if self._health.is_closed:
                self._end(loop, line)
            self._health.refuse()
        if line is not None and line.is_broken:  # a server ends connections that have been idle; it is not away
            self._end(loop, line)
            line = None
        if line is None:
            line = self._lines[loop] = _Line(self._health)
            return line, True
        if line.is_late and line.is_connecting:
            raise DeadlineExceeded(f"the connection to {self.where} is still being made")
        return line, False

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
