"""The link of blocking callers: a stack of connections.

A caller never connects: a thread does, and the caller waits for it at most as long as its own deadline.
"""

import threading
import time
from typing import Any, Final

from caching_core.errors import DeadlineExceeded, TierUnavailable
from caching_core.runtime import after_fork_in_child
from caching_core.tiers.redis._health import Health, connect
from caching_core.tiers.redis._wire import Wire, WireEnded

MOST_CONNECTIONS: Final = 64
_SECONDS_PER_BYTE: Final = 0.02 / (1 << 20)


class BlockingLink:
    """Connections of this process to one server. Thread-safe; made anew by itself in a forked child."""

    answers_at_once = True
    __slots__ = ("__weakref__", "_changed", "_connecting", "_deadline", "_health", "_idle", "_made", "_waiting", "where")

    def __init__(self, health: Health, *, deadline: float) -> None:
        """Connect nothing yet. ``deadline``: seconds that one call may take."""
        self._health = health
        self._deadline = deadline
        self.where = health.address.where
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        self._idle: list[Wire] = []
        self._changed = threading.Condition(threading.Lock())
        self._made = self._connecting = self._waiting = 0

    @property
    def lost(self) -> str | None:
        """Why callers are turned away, while the server is away."""
        return self._health.lost

    def ask_now(self, packed: bytes, count: int = 1, *, again: bool = False) -> list[Any]:
        """Send packed commands and return their replies, error replies as objects.

        ``again``: they may be done twice, so that they are sent once more where a connection ends that had been in use.
        Raises TierUnavailable or DeadlineExceeded after at most the deadline, plus 20 ms per MiB that is sent.
        """
        if self._health.lost is not None:
            self._turn_away()
        seconds = self._deadline + len(packed) * _SECONDS_PER_BYTE
        try:
            wire = self._idle.pop()
        except IndexError:
            return self._ask_slowly(packed, count, seconds)
        try:
            replies = wire.exchange(packed, count, seconds)
        except WireEnded as ended:
            self._drop(wire)
            self._close_idle()  # they lead to where this one led
            if ended.is_unsent or again:
                return self._ask_slowly(packed, count, ended.left)
            self._health.lose(str(ended))
            raise
        except TierUnavailable as error:
            self._lose(wire, error, packed)
            raise
        except BaseException:  # a signal in the middle of a reply: what follows on this connection is not ours to read
            self._drop(wire)
            raise
        self._idle.append(wire)
        if self._waiting:
            with self._changed:
                self._changed.notify()
        return replies

    async def ask(self, packed: bytes, count: int = 1, *, again: bool = False) -> list[Any]:
        """Ask as ``ask_now``; never suspends."""
        return self.ask_now(packed, count, again=again)

    def _ask_slowly(self, packed: bytes, count: int, seconds: float) -> list[Any]:
        """Ask where there is no idle connection."""
        until = time.monotonic() + seconds
        wire = self._wait(until)
        try:
            replies = wire.exchange(packed, count, until - time.monotonic())
        except TierUnavailable as error:
            self._lose(wire, error, packed)
            raise
        except BaseException:  # as above
            self._drop(wire)
            raise
        with self._changed:
            self._idle.append(wire)
            self._changed.notify()
        return replies

    def reach(self, seconds: float) -> None:
        """Have a connection made, within seconds: for who may wait longer than a call. Raises TierUnavailable, DeadlineExceeded."""
        wire = self._wait(time.monotonic() + seconds)
        with self._changed:
            self._idle.append(wire)
            self._changed.notify()

    def _turn_away(self) -> None:
        if self._health.is_closed:
            self._close_idle()
        self._health.refuse()

    def _lose(self, wire: Wire, error: TierUnavailable, packed: bytes) -> None:
        """Give the server up; no connection of before is used again, since they may all hang like this one.

        What takes long to send leaves the way to the server full; its caller is not to find it open and send all that again.
        """
        self._drop(wire)
        self._close_idle()
        self._health.lose(str(error), pause=len(packed) * _SECONDS_PER_BYTE)

    def _wait(self, until: float) -> Wire:
        """Wait for a connection, made by a thread where there may be one more. An attempt goes on when its caller has left."""
        with self._changed:
            self._waiting += 1
            try:
                while True:
                    self._health.refuse()
                    try:
                        return self._idle.pop()
                    except IndexError:
                        pass
                    spare = self._health.take()
                    if spare is not None:
                        self._made += 1
                        return spare
                    if self._connecting < self._waiting and self._made + self._connecting < MOST_CONNECTIONS:
                        self._begin()
                    left = until - time.monotonic()
                    if left <= 0:
                        break
                    self._changed.wait(left)
            finally:
                self._waiting -= 1
        late = DeadlineExceeded(f"no connection to {self.where} was to be had in time")
        if not self._made:
            self._health.lose(str(late))
        raise late

    def _begin(self) -> None:
        self._connecting += 1
        try:
            threading.Thread(target=self._connect, args=(self._changed,), name="caching-connect", daemon=True).start()
        except RuntimeError as error:
            self._connecting -= 1
            raise TierUnavailable(f"no connection to {self.where}: {error}") from None

    def _connect(self, changed: threading.Condition) -> None:  # a fork replaces the condition; a thread keeps to its own
        wire, error = None, f"no connection to {self.where}"
        try:
            wire = connect(self._health.address, self._deadline)
        except TierUnavailable as refusal:
            error = str(refusal)
        finally:
            if wire is None:
                self._health.lose(error)  # before those who wait are woken: they ask it why
            with changed:
                self._connecting -= 1
                if wire is not None:
                    self._made += 1
                    self._idle.append(wire)
                changed.notify_all()
        if self._health.is_closed:
            self._close_idle()

    def _drop(self, wire: Wire) -> None:
        wire.close()
        with self._changed:
            self._made -= 1

    def _close_idle(self) -> None:
        while True:
            try:
                wire = self._idle.pop()
            except IndexError:
                return
            self._drop(wire)

    def close(self) -> None:
        """Close the idle connections; one in use is closed by the next call that finds the link closed."""
        self._health.close()
        with self._changed:
            self._changed.notify_all()
        self._close_idle()
