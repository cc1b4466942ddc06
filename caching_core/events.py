"""What lower layers tell the layers above: frozen events, and the hooks that carry them to whoever listens."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """Root of everything that is told upward; carries no clock, the listener has its own."""


@dataclass(frozen=True, slots=True)
class Started(Event):
    """An engine of this process is ready; ``fingerprint`` tells configurations apart and reveals nothing of them."""

    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Stopped(Event):
    """An engine of this process has been closed."""

    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class TierOpened(Event):
    """A tier answers: at the start, or again after it was lost."""

    tier: str


@dataclass(frozen=True, slots=True)
class TierLost(Event):
    """A tier does not answer, is full or cannot be written."""

    tier: str
    reason: str


@dataclass(frozen=True, slots=True)
class StoreVoided(Event):
    """Everything that a store held was given up at once, for ``reason`` (no names, no values); ``generation`` is what follows."""

    generation: str
    reason: str
    tier: str = "disk"


@dataclass(frozen=True, slots=True)
class StoreQuarantined(Event):
    """A damaged file was renamed to ``kept_as`` (None: it was gone already) and a new one begun."""

    kept_as: Path | None
    reason: str


@dataclass(frozen=True, slots=True)
class UpkeepFailed(Event):
    """A step of a store's upkeep could not be done; the next one tries again."""

    reason: str
    tier: str = "disk"


@dataclass(frozen=True, slots=True)
class EntryRefused(Event):
    """A stored entry was not accepted: seal, header, serialiser, replay. ``key`` is clear and meant for the audit log's seal only."""

    tenant: str
    namespace: str
    key: str = field(repr=False)
    reason: str
    tier: str = ""


@dataclass(frozen=True, slots=True)
class EntriesUnreadable(Event):
    """Reads of this process met ``count`` entries within a minute that it does not know how to open; each was a miss."""

    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class ValueRefused(Event):
    """A value was not written because a reader would have to run code for it (pickle outside the list)."""

    tenant: str
    namespace: str
    reason: str


@dataclass(frozen=True, slots=True)
class LedgerRolledBack(Event):
    """A ledger showed a lower sequence than it had shown before; what it says is not believed."""

    tenant: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TenantRejected(Event):
    """A tenant id was out of form, unknown, foreign, or two resolvers disagreed; the id itself is not carried."""

    reason: str


@dataclass(frozen=True, slots=True)
class AccessRefused(Event):
    """An actor's roles did not allow a call. ``actor`` and ``key`` are clear and meant for the audit log's seal only."""

    tenant: str
    namespace: str
    permission: str
    actor_type: str = ""
    actor: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class KeyMade(Event):
    """A root key was made for ``tenant``."""

    tenant: str
    key_id: bytes


@dataclass(frozen=True, slots=True)
class KeyChanged(Event):
    """A root key moved to another state: staged, primary, enabled, disabled."""

    tenant: str
    key_id: bytes
    state: str


@dataclass(frozen=True, slots=True)
class KeysDestroyed(Event):
    """A tenant's root keys were erased for good; ``key_ids`` must never be accepted again."""

    tenant: str
    key_ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Cleared(Event):
    """A namespace of a tenant (an empty one: all of them) was invalidated as a whole; an empty tenant means every tenant."""

    tenant: str
    namespace: str


@dataclass(frozen=True, slots=True)
class PatternDeleted(Event):
    """The keys of a tenant that match a pattern were deleted; ``count`` of them."""

    tenant: str
    namespace: str
    count: int


@dataclass(frozen=True, slots=True)
class ConfigNote(Event):
    """Something about the configuration that the operator should read once; carries no secret."""

    message: str


Hook = Callable[[Event], None]


class Hooks:
    """Carries events to subscribers, in the order in which they subscribed.

    Thread-safe without a lock (so that no fork can catch it held): a dict's single operations and the list
    of its keys are atomic. ``emit`` may itself be passed on as a ``Hook``. A subscriber runs in the thread that
    emits and must be quick; one that raises is logged once and goes on being called.
    """

    __slots__ = ("_faulty", "_subscribers")

    def __init__(self) -> None:
        """Start with nobody listening."""
        self._subscribers: dict[object, Hook] = {}
        self._faulty: set[object] = set()

    def __bool__(self) -> bool:
        """Return whether anybody listens, for callers to whom making the event costs something."""
        return bool(self._subscribers)

    def subscribe(self, hook: Hook) -> Callable[[], None]:
        """Call ``hook`` with every event from now on; the returned function ends that, and may be called twice."""
        ticket = object()
        self._subscribers[ticket] = hook

        def unsubscribe() -> None:
            self._subscribers.pop(ticket, None)
            self._faulty.discard(ticket)

        return unsubscribe

    def emit(self, event: Event) -> None:
        """Tell every subscriber; never raises because of one."""
        if not self._subscribers:
            return
        for ticket in list(self._subscribers):
            hook = self._subscribers.get(ticket)
            if hook is None:
                continue
            try:
                hook(event)
            except Exception:  # noqa: BLE001 - a listener's fault must not reach the operation that it listens to
                if ticket not in self._faulty:
                    self._faulty.add(ticket)
                    _log.exception("a subscriber raised on %s; further errors of it are not logged", type(event).__name__)
