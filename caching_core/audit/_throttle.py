"""Floods of one kind of denial become one record with an exact count."""

import threading
from collections.abc import Callable
from typing import Final

from caching_core.audit._record import AuditClass, Entry, Outcome

PER_SECOND: Final = 50
_MINUTE: Final = 60.0
_KEYS: Final = 4096
_OVERFLOW_TENANT: Final = "*"
_LONGEST_TENANT: Final = 64

_Kind = tuple[AuditClass, str, str]


class _Window:
    """What one kind of record did lately. ``until`` is when its minute ends; 0 while it is not throttled."""

    __slots__ = ("count", "first", "kind", "last", "outcomes", "second", "seen", "until")

    def __init__(self, kind: _Kind) -> None:
        self.kind = kind
        self.second = -1
        self.seen = 0
        self.until = 0.0
        self.count = 0
        self.first = 0.0
        self.last = 0.0
        self.outcomes: dict[str, int] = {}

    def add(self, outcome: Outcome, now: float) -> None:
        if not self.count:
            self.first = now
        self.count += 1
        self.last = now
        self.outcomes[str(outcome)] = self.outcomes.get(str(outcome), 0) + 1


class Throttle:
    """Lets 50 a second of one (class, action, tenant) through; the rest of that minute is counted.

    Thread-safe. Bounded: beyond 4096 kinds at a time, tenants are counted together under ``*``.
    """

    __slots__ = ("_clock", "_lock", "_over", "_windows")

    def __init__(self, clock: Callable[[], float]) -> None:
        """Know of nothing yet."""
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[_Kind, _Window] = {}
        self._over: list[Entry] = []

    def admits(self, cls: AuditClass, action: str, tenant: str, *, outcome: Outcome, now: float) -> bool:
        """Return whether this one gets a record of its own; otherwise it has been counted."""
        with self._lock:
            window = self._window((cls, action, tenant[:_LONGEST_TENANT]))
            if window.until:
                # Minutes that nobody collects, because the log cannot be written, run together.
                if 0 <= window.until - now <= _MINUTE or len(self._over) >= _KEYS:
                    window.add(outcome, now)
                    return False
                self._finish(window, now)
            second = int(now)
            if second != window.second:
                window.second = second
                window.seen = 0
            window.seen += 1
            if window.seen <= PER_SECOND:
                return True
            window.until = (now // _MINUTE + 1) * _MINUTE
            window.add(outcome, now)
            return False

    def count(self, cls: AuditClass, action: str, tenant: str, *, outcome: Outcome, now: float) -> None:
        """Count one that found no room in the queue, whatever its rate."""
        with self._lock:
            window = self._window((cls, action, tenant[:_LONGEST_TENANT]))
            window.until = window.until or (now // _MINUTE + 1) * _MINUTE
            window.add(outcome, now)

    def finished(self, *, everything: bool = False) -> list[Entry]:
        """Return a ``repeated`` entry for each kind whose minute is over (or for all), and forget idle kinds."""
        now = self._clock()
        with self._lock:
            for kind, window in list(self._windows.items()):
                if window.until and (everything or not 0 <= window.until - now <= _MINUTE):
                    self._finish(window, now)
                if not window.until and (everything or window.second != int(now)):
                    del self._windows[kind]
            over, self._over = self._over, []
            return over

    def is_counting(self) -> bool:
        """Return whether a count waits for the end of its minute."""
        return bool(self._over) or any(window.until for window in list(self._windows.values()))

    def _window(self, kind: _Kind) -> _Window:
        window = self._windows.get(kind)
        if window is None:
            if len(self._windows) >= _KEYS:
                kind = (kind[0], kind[1], _OVERFLOW_TENANT)
                window = self._windows.get(kind)
            if window is None:
                window = self._windows[kind] = _Window(kind)
        return window

    def _finish(self, window: _Window, now: float) -> None:
        cls, action, tenant = window.kind
        outcome = Outcome(max(window.outcomes, key=window.outcomes.__getitem__)) if window.outcomes else Outcome.OK
        detail = {"of": action, "first": int(window.first * 1000), "last": int(window.last * 1000), **window.outcomes}
        if window.count:
            self._over.append((cls, "repeated", outcome, tenant, "system", "", "", "", "", "", window.count, detail, None, now))
        window.until = 0.0
        window.count = 0
        window.outcomes = {}
