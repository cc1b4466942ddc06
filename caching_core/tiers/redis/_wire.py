"""One blocking connection: redis-py connects, authenticates and speaks TLS; sending and receiving are ours.

A call's deadline is one for all its receives: a server that drips its reply does not outlive it. That needs the socket
itself, which redis-py keeps private: this file alone takes it, and a test holds it against the pinned version.
"""

import socket
import ssl
import struct
import time
from collections.abc import Callable
from typing import Any, Final

from hiredis import HiredisError, Reader

from caching_core.errors import DeadlineExceeded, TierUnavailable
from caching_core.tiers.redis._address import Address

_MORE: Final = object()
_BUFFER: Final = 65536
_TIMEVAL: Final = struct.Struct("@ll")
_LEAST: Final = 0.0005


class Wire:
    """A connected socket, its parser and its buffer. One caller at a time."""

    __slots__ = ("_armed", "_buffer", "_connection", "_gets", "_feed", "_is_plain", "_socket", "_where", "deadline")  # noqa: RUF023 -- fmt

    def __init__(self, address: Address, deadline: float) -> None:
        """Connect, within seconds. Raises redis-py's errors and OSError, which the link maps."""
        connection: Any = address.connection()  # Any: redis-py leaves these methods without annotations
        try:
            connection.connect()
        except BaseException:
            connection.disconnect()  # redis-py does so after some of its own errors only
            raise
        self._connection = connection
        self._where = address.where
        sock: Any = connection._sock  # noqa: SLF001 -- there is no public way; see above
        self._socket: socket.socket = sock
        self._is_plain = not isinstance(sock, ssl.SSLSocket)
        self.deadline = deadline
        self._armed = 0.0
        if self._is_plain:
            sock.settimeout(None)  # the kernel's own limits, without a poll before each receive
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(deadline))
        self._arm(deadline)
        reader = Reader(notEnoughData=_MORE, encoding=None)
        self._feed: Callable[..., Any] = reader.feed
        self._gets: Callable[..., Any] = reader.gets
        self._buffer = bytearray(_BUFFER)

    def _arm(self, seconds: float) -> None:
        seconds = max(seconds, _LEAST)
        if self._is_plain:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(seconds))
        else:
            self._socket.settimeout(seconds)
        self._armed = seconds

    def exchange(self, packed: bytes, count: int, seconds: float) -> list[Any]:
        """Send, and receive ``count`` replies; error replies come back as objects. Raises DeadlineExceeded, TierUnavailable.

        After either the connection is good for nothing any more.
        """
        until = time.monotonic() + seconds
        if abs(self._armed - seconds) > 0.1 * seconds:
            self._arm(seconds)
        replies: list[Any] = []
        gets, buffer = self._gets, self._buffer
        try:
            self._socket.sendall(packed)
            while len(replies) < count:
                reply = gets()
                if reply is not _MORE:
                    replies.append(reply)
                    continue
                size = self._socket.recv_into(buffer)
                if not size:
                    raise TierUnavailable(f"the server {self._where} closed the connection")
                self._feed(buffer, 0, size)
                left = until - time.monotonic()
                if left <= 0:
                    raise DeadlineExceeded(f"the server {self._where} did not answer within {seconds:g} s")
                if left < 0.9 * self._armed:
                    self._arm(left)  # the next receive must not take the whole time again
        except (BlockingIOError, TimeoutError):
            raise DeadlineExceeded(f"the server {self._where} did not answer within {seconds:g} s") from None
        except HiredisError as error:
            raise TierUnavailable(f"the server {self._where} does not speak the protocol: {type(error).__name__}") from None
        except OSError as error:
            raise TierUnavailable(f"the connection to {self._where} broke: {error.strerror or type(error).__name__}") from None
        return replies

    def close(self) -> None:
        """Close the socket."""
        try:
            self._connection.disconnect()
        except OSError:
            pass  # it is gone either way


def _timeval(seconds: float) -> bytes:
    whole = int(seconds)
    return _TIMEVAL.pack(whole, int((seconds - whole) * 1e6) or (0 if whole else 1))
