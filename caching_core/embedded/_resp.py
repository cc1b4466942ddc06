"""The least of the Redis protocol (RESP2): a command out, its reply in; for supervision and tests, not for the cache."""

import socket
from types import TracebackType
from typing import Final, Self, TypeAlias

from caching_core.errors import DeadlineExceeded, TierUnavailable

Reply: TypeAlias = "str | bytes | int | list[Reply] | None"

_CHUNK: Final = 65536


class Connection:
    """One connection; owned by one thread. A status reply is a ``str``, data are ``bytes``."""

    def __init__(self, raw: socket.socket) -> None:
        self._socket = raw
        self._unread = bytearray()

    def call(self, *arguments: str | bytes | int, timeout: float = 5.0) -> Reply:
        """Send a command and return its reply.

        ``timeout`` bounds each wait on the socket. Raises TierUnavailable if the server refuses the command or the
        connection breaks, DeadlineExceeded if it does not answer; only after a refusal the connection is still good.
        """
        name = _encoded(arguments[0]).decode(errors="replace") if arguments else ""
        try:
            self._socket.settimeout(timeout)
            self._socket.sendall(_command(arguments))
            return self._reply(name)
        except TimeoutError as problem:
            raise DeadlineExceeded(f"the server did not answer {name} within {timeout:g} s") from problem
        except OSError as problem:
            raise TierUnavailable(f"the connection broke during {name}: {problem.strerror or type(problem).__name__}") from problem

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _reply(self, name: str) -> Reply:
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            # An unknown command is answered with its arguments, which are nobody else's business.
            words = rest.decode(errors="replace").partition(", with args")[0]
            raise TierUnavailable(f"the server refused {name}: {words}")
        if kind == b":":
            return _number(rest)
        if kind == b"$":
            length = _number(rest)
            return None if length < 0 else self._take(length + 2)[:-2]
        if kind == b"*":
            length = _number(rest)
            return None if length < 0 else [self._reply(name) for _ in range(length)]
        raise TierUnavailable("what answers there does not speak the Redis protocol")

    def _line(self) -> bytes:
        while (end := self._unread.find(b"\r\n")) < 0:
            self._receive()
        return self._take(end + 2)[:-2]

    def _take(self, count: int) -> bytes:
        while len(self._unread) < count:
            self._receive()
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        return taken

    def _receive(self) -> None:
        chunk = self._socket.recv(_CHUNK)
        if not chunk:
            raise TierUnavailable("the server closed the connection")
        self._unread += chunk


def _encoded(argument: str | bytes | int) -> bytes:
    return argument if isinstance(argument, bytes) else str(argument).encode("utf-8", "surrogateescape")


def _command(arguments: tuple[str | bytes | int, ...]) -> bytes:
    words = [_encoded(argument) for argument in arguments]
    return b"".join([b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)])


def _number(text: bytes) -> int:
    try:
        return int(text)
    except ValueError:
        raise TierUnavailable("what answers there does not speak the Redis protocol") from None
