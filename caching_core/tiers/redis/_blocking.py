"""The link of blocking callers: a stack of connections.

A caller never connects: a thread does, and the caller waits for it at most as long as its own deadline.
"""

import threading
import time
from typing import Any, Final

from caching_core.errors import DeadlineExceeded, TierUnavailable
from caching_core.runtime import after_fork_in_child
from caching_core.tiers.redis._health import Health, connect
from caching_core.tiers.redis._wire import Wire

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

    def ask_now(self, packed: bytes, count: int = 1) -> list[Any]:
        """Send packed commands and return their replies, error replies as objects.

        Raises TierUnavailable or DeadlineExceeded after at most the deadline, plus 20 ms per MiB that is sent.
        """
        if self._health.lost is not None:
            self._close_idle()
            self._health.refuse()
        seconds = self._deadline + len(packed) * _SECONDS_PER_BYTE
        try:
            wire = self._idle.pop()
        except IndexError:
            began = time.monotonic()
            wire = self._wait(began + seconds)
            seconds -= time.monotonic() - began
        try:
            replies = wire.exchange(packed, count, seconds)
        except TierUnavailable as error:
            self._drop(wire)
            self._health.lose(str(error))
            raise
        except BaseException:  # a signal in the middle of a reply: what follows on this connection is not ours to read
            self._drop(wire)
            raise
        self._idle.append(wire)
        if self._waiting:
            with self._changed:
                self._changed.notify()
        return replies

    async def ask(self, packed: bytes, count: int = 1) -> list[Any]:
        """Ask as ``ask_now``; never suspends."""
        return self.ask_now(packed, count)

    def _wait(self, until: float) -> Wire:
        """Wait for a connection, made by a thread where there may be one more."""
        with self._changed:
            self._waiting += 1
            try:
                while True:
                    self._health.refuse()
                    try:
                        return self._idle.pop()
                    except IndexError:
                        pass
                    if self._connecting < self._waiting and self._made + self._connecting < MOST_CONNECTIONS:
                        self._connecting += 1
                        threading.Thread(target=self._connect, args=(self._changed,), name="caching-connect", daemon=True).start()
                    left = until - time.monotonic()
                    if left <= 0:
                        break
                    self._changed.wait(left)
            finally:
                self._waiting -= 1
        late = DeadlineExceeded(f"no connection to {self.where} was to be had within {self._deadline:g} s")
        if not self._made:
            self._health.lose(str(late))
        raise late

    def _connect(self, changed: threading.Condition) -> None:  # a fork replaces the condition; a thread keeps to its own
        wire, error = None, ""
        try:
            wire = connect(self._health.address, self._deadline)
        except TierUnavailable as refusal:
            error = str(refusal)
        if wire is None:
            self._health.lose(error)  # before those who wait are woken: they ask it why
        with changed:
            self._connecting -= 1
            if wire is not None:
                self._made += 1
                self._idle.append(wire)
            changed.notify_all()
        if self._health.lost is not None:
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
