"""Turns events of the lower layers into audit records."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from caching_core import events
from caching_core.audit._log import AuditLog
from caching_core.audit._record import AuditClass, Outcome
from caching_core.events import Event


class _Told(NamedTuple):
    cls: AuditClass
    action: str
    outcome: Outcome
    told: Callable[[Any], dict[str, Any]]  # an event of the row's own class gives arguments of AuditLog.record


def _object(event: Any) -> dict[str, Any]:  # one of several events that share these fields
    return {"tenant": event.tenant, "namespace": event.namespace}


def _reason(event: Any) -> dict[str, Any]:  # the same
    return {"detail": {name: getattr(event, name) for name in ("tier", "reason") if getattr(event, name, "")}}


_ROWS: Final[dict[type[Event], _Told]] = {
    events.Started: _Told(AuditClass.SYSTEM, "started", Outcome.OK, lambda e: {"detail": {"configuration": e.fingerprint}}),
    events.Stopped: _Told(AuditClass.SYSTEM, "stopped", Outcome.OK, lambda e: {"detail": {"configuration": e.fingerprint}}),
    events.TierOpened: _Told(AuditClass.SYSTEM, "tier_opened", Outcome.OK, _reason),
    events.TierLost: _Told(AuditClass.SYSTEM, "tier_lost", Outcome.ERROR, _reason),
    events.StoreVoided: _Told(AuditClass.SYSTEM, "store_voided", Outcome.ERROR, _reason),
    events.StoreQuarantined: _Told(
        AuditClass.SYSTEM, "store_quarantined", Outcome.ERROR, lambda e: {"detail": {"path": e.path, "reason": e.reason}}
    ),
    events.ConfigNote: _Told(AuditClass.SYSTEM, "config_note", Outcome.OK, lambda e: {"detail": {"message": e.message}}),
    events.EntryRefused: _Told(AuditClass.SECURITY, "entry_refused", Outcome.DENIED, lambda e: {**_object(e), **_reason(e), "key": e.key}),
    events.ValueRefused: _Told(AuditClass.SECURITY, "value_refused", Outcome.DENIED, lambda e: {**_object(e), **_reason(e)}),
    events.LedgerRolledBack: _Told(AuditClass.SECURITY, "ledger_rollback", Outcome.DENIED, lambda e: {"tenant": e.tenant, **_reason(e)}),
    events.TenantRejected: _Told(AuditClass.AUTH, "tenant_rejected", Outcome.DENIED, _reason),
    events.AccessRefused: _Told(
        AuditClass.AUTH,
        "access_refused",
        Outcome.DENIED,
        lambda e: {
            **_object(e),
            "actor_type": e.actor_type or "unknown",
            "actor": e.actor,
            "key": e.key,
            "detail": {"permission": e.permission, "reason": e.reason},
        },
    ),
    events.KeyMade: _Told(AuditClass.ADMIN, "key_made", Outcome.OK, lambda e: {"tenant": e.tenant, "detail": {"key_id": e.key_id}}),
    events.KeyChanged: _Told(
        AuditClass.ADMIN, "key_changed", Outcome.OK, lambda e: {"tenant": e.tenant, "detail": {"key_id": e.key_id, "state": e.state}}
    ),
    events.KeysDestroyed: _Told(
        AuditClass.ADMIN, "keys_destroyed", Outcome.OK, lambda e: {"tenant": e.tenant, "detail": {"key_ids": list(e.key_ids)}}
    ),
    events.Cleared: _Told(AuditClass.ADMIN, "cleared", Outcome.OK, _object),
    events.PatternDeleted: _Told(AuditClass.ADMIN, "pattern_deleted", Outcome.OK, lambda e: {**_object(e), "count": e.count}),
}


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
        told = row.told(event)
        if self._actor is not None and not told.get("actor"):
            told["actor_type"], told["actor"] = self._actor()
        self._log.record(row.cls, row.action, row.outcome, **told)
