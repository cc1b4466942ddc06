"""Whether a server is there: one answer for all connections of a process, and a thread that looks while it is not.

The first failure closes the way to all callers until a probe has had an answer, so that a server that is refused, hangs
or was killed costs one caller its deadline and the others nothing. A server that only stumbled is back after one trip.
"""

import threading
from collections.abc import Callable
from typing import Final

from redis.exceptions import RedisError

from caching_core.errors import TierUnavailable
from caching_core.runtime import after_fork_in_child
from caching_core.tiers.redis._address import Address
from caching_core.tiers.redis._wire import Wire

_FIRST_PAUSE: Final = 0.25
_PING: Final = b"*1\r\n$4\r\nPING\r\n"
_PROBE_SECONDS: Final = 2.0


class Health:
    """The health of one server as this process sees it. Thread-safe; a forked child starts with the best of hopes.

    ``lost`` says why callers are turned away, while they are. ``on_change(reason)`` is told once when the server is lost and
    once, with None, when it is back.
    """

    __slots__ = ("__weakref__", "_closed", "_longest_pause", "_mutex", "_on_change", "_prober", "_stopped", "address", "lost")

    def __init__(self, address: Address, *, recovery_timeout: float = 1.0, on_change: Callable[[str | None], None] | None = None) -> None:
        """Assume that the server is there."""
        self.address = address
        self._longest_pause = max(recovery_timeout, _FIRST_PAUSE)
        self._on_change = on_change
        self._closed = False
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        self._mutex = threading.Lock()
        self._stopped = threading.Event()
        self._prober: threading.Thread | None = None
        self.lost: str | None = self._end() if self._closed else None

    def _end(self) -> str:
        return f"the connection to {self.address.where} is closed; make a new cache"

    def refuse(self) -> None:
        """Raise TierUnavailable while the server is away, or after ``close``."""
        if self.lost is not None:
            raise TierUnavailable(self.lost)

    def lose(self, reason: str) -> None:
        """Turn callers away until the server answers again."""
        with self._mutex:
            if self.lost is not None:
                return
            self.lost = reason
            self._prober = threading.Thread(target=self._probe, args=(self._stopped,), name="caching-probe", daemon=True)
            self._prober.start()
        if self._on_change is not None:
            self._on_change(reason)

    def _probe(self, stopped: threading.Event) -> None:
        pause = 0.0
        while not stopped.wait(pause):
            pause = min(max(2 * pause, _FIRST_PAUSE), self._longest_pause)
            if not self._answers():
                continue
            with self._mutex:
                if self._closed:
                    return
                self.lost = None
            if self._on_change is not None:
                self._on_change(None)
            return

    def _answers(self) -> bool:
        try:
            wire = connect(self.address, _PROBE_SECONDS)
        except TierUnavailable:
            return False
        try:
            return wire.exchange(_PING, 1, _PROBE_SECONDS) == [b"PONG"]
        except TierUnavailable:
            return False
        finally:
            wire.close()

    def close(self) -> None:
        """Turn callers away for good and end the thread."""
        with self._mutex:
            self._closed = True
            self.lost = self._end()
            self._stopped.set()
            prober = self._prober
        if prober is not None and prober is not threading.current_thread():
            prober.join(_PROBE_SECONDS)


def connect(address: Address, deadline: float) -> Wire:
    """Connect and authenticate, within seconds. Raises TierUnavailable."""
    try:
        return Wire(address, deadline)
    except (RedisError, OSError) as error:
        raise TierUnavailable(f"no connection to {address.where}: {reason_of(error)}") from None


def reason_of(error: BaseException) -> str:
    """Return what a driver's error says of itself in a word: its text may repeat what stands in the address."""
    inner = error.__context__ if isinstance(error, RedisError) else None
    return getattr(inner, "strerror", None) or getattr(error, "strerror", None) or type(error).__name__
