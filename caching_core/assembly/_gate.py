"""The audit log as the engine's gate, and as a listener to events."""

from collections.abc import Callable

from caching_core.audit import AuditClass, AuditLog, EventRecorder, Outcome
from caching_core.events import Hooks
from caching_core.tenancy import current_actor


class LogGate:
    """Writes privileged operations down before they are done."""

    __slots__ = ("_log",)

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    def admit(self, action: str, *, tenant: str, namespace: str) -> None:
        """Record that ``action`` is about to be done. Raises AuditUnavailable: then it must not be done."""
        kind, actor = acting()
        self._log.record(AuditClass.ADMIN, action, Outcome.OK, tenant=tenant, namespace=namespace, actor_type=kind, actor=actor)

    def failed(self, action: str, *, tenant: str, namespace: str) -> None:
        """Record that an admitted action could not be done."""
        kind, actor = acting()
        self._log.record(AuditClass.SYSTEM, action, Outcome.ERROR, tenant=tenant, namespace=namespace, actor_type=kind, actor=actor)


def acting() -> tuple[str, str]:
    """Return type and id of who acts now; the system where nobody said."""
    actor = current_actor()
    return ("system", "") if actor is None else (actor.type, actor.id)


def listen(log: AuditLog, hooks: Hooks) -> Callable[[], None]:
    """Write the events that belong in the log into it, until the returned function is called."""
    return hooks.subscribe(EventRecorder(log, actor=acting))
