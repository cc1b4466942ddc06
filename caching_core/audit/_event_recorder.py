"""Turns events of the lower layers into audit records."""

from collections.abc import Callable
from dataclasses import fields
from typing import Final, NamedTuple

from caching_core import events
from caching_core.audit._log import AuditLog
from caching_core.audit._record import AuditClass, Outcome
from caching_core.events import Event


class _Row(NamedTuple):
    cls: AuditClass
    action: str
    outcome: Outcome


_ROWS: Final[dict[type[Event], _Row]] = {
    events.Started: _Row(AuditClass.SYSTEM, "started", Outcome.OK),
    events.Stopped: _Row(AuditClass.SYSTEM, "stopped", Outcome.OK),
    events.TierOpened: _Row(AuditClass.SYSTEM, "tier_opened", Outcome.OK),
    events.TierLost: _Row(AuditClass.SYSTEM, "tier_lost", Outcome.ERROR),
    events.StoreVoided: _Row(AuditClass.SYSTEM, "store_voided", Outcome.ERROR),
    events.StoreQuarantined: _Row(AuditClass.SYSTEM, "store_quarantined", Outcome.ERROR),
    events.UpkeepFailed: _Row(AuditClass.SYSTEM, "upkeep_failed", Outcome.ERROR),
    events.ConfigNote: _Row(AuditClass.SYSTEM, "config_note", Outcome.OK),
    events.EntryRefused: _Row(AuditClass.SECURITY, "entry_refused", Outcome.DENIED),
    events.EntriesUnreadable: _Row(AuditClass.SECURITY, "entries_unreadable", Outcome.DENIED),
    events.ValueRefused: _Row(AuditClass.SECURITY, "value_refused", Outcome.DENIED),
    events.LedgerRolledBack: _Row(AuditClass.SECURITY, "ledger_rollback", Outcome.DENIED),
    events.TenantRejected: _Row(AuditClass.AUTH, "tenant_rejected", Outcome.DENIED),
    events.AccessRefused: _Row(AuditClass.AUTH, "access_refused", Outcome.DENIED),
    events.KeyMade: _Row(AuditClass.ADMIN, "key_made", Outcome.OK),
    events.KeyChanged: _Row(AuditClass.ADMIN, "key_changed", Outcome.OK),
    events.KeysDestroyed: _Row(AuditClass.ADMIN, "keys_destroyed", Outcome.OK),
    events.Cleared: _Row(AuditClass.ADMIN, "cleared", Outcome.OK),
    events.PatternDeleted: _Row(AuditClass.ADMIN, "pattern_deleted", Outcome.OK),
}
# Fields that have a place of their own in a record; every other field of an event stands in `detail`.
_PLACED: Final = frozenset({"tenant", "namespace", "key", "actor", "actor_type", "count"})


class EventRecorder:
    """A hook that writes events down: ``hooks.subscribe(EventRecorder(log))``.

    Hooks swallow what a subscriber raises; an operation that must not happen unrecorded calls ``AuditLog.record``
    itself, before it acts. ``actor`` gives (type, id) of who acts now, for events that do not say it.
    """

    __slots__ = ("_actor", "_log")

    def __init__(self, log: AuditLog, *, actor: Callable[[], tuple[str, str]] | None = None) -> None:
        """Write to ``log``."""
        self._log = log
        self._actor = actor

    def __call__(self, event: Event) -> None:
        """Record ``event``, if it is of a kind that is recorded."""
        row = _ROWS.get(type(event))
        if row is None:
            return
        says = {field.name: getattr(event, field.name) for field in fields(event)}
        actor_type, actor = says.get("actor_type") or "system", says.get("actor", "")
        if self._actor is not None and not actor:
            actor_type, actor = self._actor()
        self._log.record(
            row.cls,
            row.action,
            row.outcome,
            tenant=says.get("tenant", ""),
            actor_type=actor_type,
            actor=actor,
            namespace=says.get("namespace", ""),
            key=says.get("key", ""),
            count=says.get("count", 1),
            detail={name: value for name, value in says.items() if name not in _PLACED and value != ""},
        )
