"""One blocking connection: redis-py connects, authenticates and speaks TLS; sending and receiving are ours.

A call's deadline is one for all its receives: a server that drips its reply does not outlive it. That needs the socket
itself, which redis-py keeps private: this file alone takes it, and a test holds it against the pinned version.
"""

import socket
import ssl
import struct
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from hiredis import HiredisError, Reader

from caching_core.errors import DeadlineExceeded, TierUnavailable
from caching_core.tiers.redis._address import Address

_MORE: Final = object()
_BUFFER: Final = 65536
_TIMEVAL: Final = struct.Struct("@ll")
_LEAST: Final = 0.0005
_TRUSTED_SECONDS: Final = 0.001
_ONE_SEND: Final = 65536


class WireEnded(TierUnavailable):
    """The other side has ended the connection, which says nothing of the server: it may have been idle for too long.

    ``is_unsent``: the command has not left this process. ``left``: seconds of the call that are left.
    """

    def __init__(self, where: str, *, left: float, is_unsent: bool = False) -> None:
        super().__init__(f"the server {where} closed the connection")
        self.left = left
        self.is_unsent = is_unsent


class Wire:
    """A connected socket, its parser and its buffer. One caller at a time."""

    __slots__ = ("_armed", "_buffer", "_connection", "_gets", "_feed", "_is_plain", "_socket", "_used", "_where")  # noqa: RUF023 -- fmt

    def __init__(self, address: Address, deadline: float, connection: Any = None) -> None:  # Any: redis-py leaves its methods untyped
        """Connect, with ``connection`` if one is made already. Raises redis-py's errors and OSError, which the link maps."""
        connection = connection or address.connection()
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
        self._armed = 0.0
        if self._is_plain:
            sock.settimeout(None)  # the kernel's own limits, without a poll before each receive
        self._arm(deadline)
        self._used = monotonic()
        reader = Reader(notEnoughData=_MORE, encoding=None)
        self._feed: Callable[..., Any] = reader.feed
        self._gets: Callable[..., Any] = reader.gets
        self._buffer = bytearray(_BUFFER)

    def _arm(self, seconds: float) -> None:
        seconds = max(seconds, _LEAST)
        if self._is_plain:
            limit = _timeval(seconds)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        else:
            self._socket.settimeout(seconds)
        self._armed = seconds

    def exchange(self, packed: bytes, count: int, seconds: float) -> list[Any]:
        """Send, and receive ``count`` replies; error replies come back as objects. Raises DeadlineExceeded, TierUnavailable.

        After either the connection is good for nothing any more. Raises WireEnded where the other side has ended it.
        """
        now = monotonic()
        until = now + seconds
        if now - self._used > _TRUSTED_SECONDS and self._has_ended():  # asked in time, it need not cost the next call
            raise WireEnded(self._where, left=seconds, is_unsent=True)
        if abs(self._armed - seconds) > 0.1 * seconds:
            self._arm(seconds)
        replies: list[Any] = []
        gets, buffer = self._gets, self._buffer
        try:
            if len(packed) <= _ONE_SEND:
                self._socket.sendall(packed)
            else:
                self._upload(packed, until)
            while len(replies) < count:
                reply = gets()
                if reply is not _MORE:
                    replies.append(reply)
                    continue
                size = self._socket.recv_into(buffer)
                now = monotonic()
                if not size:
                    raise ConnectionResetError
                self._feed(buffer, 0, size)
                left = until - now
                if left < 0.9 * self._armed:
                    self._arm_for(left)  # the next receive must not take the whole time again
        except (OSError, HiredisError) as error:
            raise self._failure(error, seconds, until) from None
        self._used = now
        return replies

    def _failure(self, error: Exception, seconds: float, until: float) -> TierUnavailable:
        if isinstance(error, (BlockingIOError, TimeoutError)):
            return DeadlineExceeded(f"the server {self._where} did not answer within {seconds:g} s")
        if isinstance(error, HiredisError):
            return TierUnavailable(f"the server {self._where} does not speak the protocol: {type(error).__name__}")
        if isinstance(error, (ConnectionError, ssl.SSLEOFError)):
            return WireEnded(self._where, left=until - monotonic())
        reason = getattr(error, "strerror", None) or type(error).__name__
        return TierUnavailable(f"the connection to {self._where} broke: {reason}")

    def _arm_for(self, left: float) -> None:
        if left <= 0:
            raise TimeoutError
        self._arm(left)

    def _upload(self, packed: bytes, until: float) -> None:
        """Send what the kernel takes in pieces: each send has the time that is left, not the whole again. Raises OSError."""
        rest = memoryview(packed)
        while rest:
            self._arm_for(until - monotonic())
            rest = rest[self._socket.send(rest) :]

    def _has_ended(self) -> bool:
        """Tell whether anything came while nobody had asked: the end of the connection, or what is no reply to anything."""
        try:
            if self._is_plain:
                self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            else:
                self._socket.settimeout(0.0)
                self._armed = 0.0
                self._socket.recv(1)  # reads past a session ticket, which is no end
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        """Close the socket."""
        try:
            self._connection.disconnect()
        except OSError:
            pass  # it is gone either way


def _timeval(seconds: float) -> bytes:
    whole = int(seconds)
    return _TIMEVAL.pack(whole, int((seconds - whole) * 1e6) or (0 if whole else 1))
