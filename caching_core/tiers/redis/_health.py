"""Whether a server is there: one answer for all connections of a process, and a thread that looks while it is not.

The first failure closes the way to all callers until a probe has had an answer, so that a server that is refused, hangs
or was killed costs one caller its deadline and the others nothing. A server that only stumbled is back after one trip.
"""

import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from redis.exceptions import RedisError

from caching_core.errors import TierUnavailable
from caching_core.runtime import after_fork_in_child
from caching_core.tiers.redis._address import Address
from caching_core.tiers.redis._wire import Wire

_FIRST_PAUSE: Final = 0.25
_CALM_SECONDS: Final = 2.0
_PING: Final = b"*1\r\n$4\r\nPING\r\n"
_PROBE_SECONDS: Final = 2.0
_JOIN_SECONDS: Final = 0.02


class Health:
    """The health of one server as this process sees it. Thread-safe; a forked child starts with the best of hopes.

    ``lost`` says why callers are turned away, while they are; ``losses`` counts. ``on_change(reason)`` is told once when the
    server is lost and once, with None, when it is back. A server that is lost again as soon as it is back, which answers a
    probe and nothing else, is probed later and later, up to ``recovery_timeout`` seconds.
    """

    __slots__ = (
        "__weakref__", "_back", "_longest_pause", "_mutex", "_on_change", "_pause", "_probed", "_prober", "_spare", "_stopped",
        "address", "is_closed", "losses", "lost",
    )  # fmt: skip

    def __init__(self, address: Address, *, recovery_timeout: float = 1.0, on_change: Callable[[str | None], None] | None = None) -> None:
        """Assume that the server is there."""
        self.address = address
        self._longest_pause = max(recovery_timeout, _FIRST_PAUSE)
        self._on_change = on_change
        self.is_closed = False
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        self._mutex = threading.Lock()
        self._stopped = threading.Event()
        self._prober: threading.Thread | None = None
        self._probed: Any = None  # Any: redis-py leaves its connection's methods without annotations
        self._spare: Wire | None = None
        self._back = float("-inf")
        self._pause = 0.0
        self.losses = 0
        self.lost: str | None = self._end() if self.is_closed else None

    def _end(self) -> str:
        return f"the connection to {self.address.where} is closed; make a new cache"

    def refuse(self) -> None:
        """Raise TierUnavailable while the server is away, or after ``close``."""
        if self.lost is None:
            return
        if self._prober is None and not self.is_closed:
            with self._mutex:
                self._look()
        raise TierUnavailable(self.lost or "")

    def lose(self, reason: str, *, pause: float = 0.0) -> None:
        """Turn callers away until the server answers again; it is asked after ``pause`` seconds at the earliest."""
        with self._mutex:
            if self.lost is not None:
                return
            self.lost = reason
            self.losses += 1
            is_calm = time.monotonic() - self._back > _CALM_SECONDS
            self._pause = pause if is_calm else max(pause, self._longer(self._pause))
            spare, self._spare = self._spare, None
            self._look()
        if spare is not None:
            spare.close()
        if self._on_change is not None:
            self._on_change(reason)

    def _longer(self, pause: float) -> float:
        return min(max(2 * pause, _FIRST_PAUSE), self._longest_pause)

    def _look(self) -> None:
        """Start the thread that probes; the mutex is held. Where no thread is to be had the next caller tries again."""
        if self._prober is not None or self.lost is None or self.is_closed:
            return
        prober = threading.Thread(target=self._probe, args=(self._stopped, self._pause), name="caching-probe", daemon=True)
        try:
            prober.start()
        except RuntimeError:
            return
        self._prober = prober

    def _probe(self, stopped: threading.Event, pause: float) -> None:
        while not stopped.wait(pause):
            pause = self._longer(pause)
            wire = self._answering()
            if wire is None:
                continue
            with self._mutex:
                if self.is_closed:
                    wire.close()
                    return
                self._spare = wire
                self._back = time.monotonic()
                self._prober = None
                self.lost = None
            if self._on_change is not None:
                self._on_change(None)
            return

    def _answering(self) -> Wire | None:
        """Return a connection on which the server answers."""
        self._probed = self.address.connection()
        try:
            wire = connect(self.address, _PROBE_SECONDS, self._probed)
        except TierUnavailable:
            return None
        try:
            if wire.exchange(_PING, 1, _PROBE_SECONDS) == [b"PONG"]:
                return wire
        except TierUnavailable:
            pass
        wire.close()
        return None

    def take(self) -> Wire | None:
        """Hand over the connection that found the server back, once."""
        with self._mutex:
            spare, self._spare = self._spare, None
        return spare

    def close(self) -> None:
        """Turn callers away for good and end the thread, which may be in the middle of a connection attempt: that ends by itself."""
        with self._mutex:
            self.is_closed = True
            self.lost = self._end()
            self._stopped.set()
            prober, probed = self._prober, self._probed
            spare, self._spare = self._spare, None
        if spare is not None:
            spare.close()
        if prober is None or prober is threading.current_thread():
            return
        waits_on: socket.socket | None = getattr(probed, "_sock", None)  # there is no public way; see the wire
        if waits_on is not None:
            try:
                waits_on.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended
        prober.join(_JOIN_SECONDS)


def connect(address: Address, deadline: float, connection: Any = None) -> Wire:  # Any: as above
    """Connect and authenticate, within two seconds or so; ``deadline`` is that of the calls. Raises TierUnavailable."""
    try:
        return Wire(address, deadline, connection)
    except (RedisError, OSError, ValueError, TypeError, AttributeError) as error:
        # Of what is given in an address redis-py looks at some options only here.
        raise TierUnavailable(f"no connection to {address.where}: {reason_of(error)}") from None


def reason_of(error: BaseException) -> str:
    """Return what a driver's error says of itself in a word: its text may repeat what stands in the address."""
    inner = error.__context__ if isinstance(error, RedisError) else None
    return getattr(inner, "strerror", None) or getattr(error, "strerror", None) or type(error).__name__
