"""Refusals: which of the frames that are not opened are told of, so that a reader cannot flood the audit log."""

from collections.abc import Callable
from typing import Final

from caching_core.codec import Refusal, Refused
from caching_core.events import EntriesUnreadable, EntryRefused, Hooks

MANY: Final = 100
_MINUTE: Final = 60.0
# An edited, cut or foreign frame can look like this, also one moved from another tenant: the first of a minute is told, with its key.
_SUSPICIOUS: Final = frozenset({Refusal.CHECKSUM, Refusal.DOWNGRADE, Refusal.LENGTH, Refusal.METADATA, Refusal.UNKNOWN_KEY})


class _Window:
    """What was refused for one reason since ``began``; ``is_told`` once there were many."""

    __slots__ = ("began", "count", "is_told")

    def __init__(self, began: float) -> None:
        self.began = began
        self.count = 0
        self.is_told = False


class Refusals:
    """Tells of each frame that failed authentication; counts the others by reason, and tells of 100 within a minute once.

    Those stay where they are and are met again at each read: a key, version, serialiser or class that is not known here.
    Thread-safe without a lock: a count that is lost between threads delays the event by as much.
    """

    __slots__ = ("_hooks", "_now", "_windows")

    def __init__(self, hooks: Hooks, now: Callable[[], float]) -> None:
        self._hooks = hooks
        self._now = now
        self._windows: dict[Refusal, _Window] = {}

    def note(self, refused: Refused, *, tenant: str, namespace: str, key: str) -> None:
        """Take note of a refused frame."""
        reason = refused.reason
        window = None if refused.tampered else self._counted(reason)
        if window is None or (window.count == 1 and reason in _SUSPICIOUS):
            self._hooks.emit(EntryRefused(tenant=tenant, namespace=namespace, key=key, reason=reason.value))
        elif window.count >= MANY and not window.is_told:
            window.is_told = True
            self._hooks.emit(EntriesUnreadable(reason.value, window.count))

    def _counted(self, reason: Refusal) -> _Window:
        now = self._now()
        window = self._windows.get(reason)
        if window is None or now - window.began >= _MINUTE:
            window = self._windows[reason] = _Window(now)
        window.count += 1
        return window
