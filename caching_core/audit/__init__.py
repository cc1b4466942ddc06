"""What happened, provably: records in a signed hash chain."""

from caching_core.audit._event_recorder import EventRecorder
from caching_core.audit._finding import Fault, Finding, Status, Verification
from caching_core.audit._log import AuditLog
from caching_core.audit._privacy import AuditKey, open_pii
from caching_core.audit._reading import destroyed_keys, tail
from caching_core.audit._record import AuditClass, AuditRecord, Outcome
from caching_core.audit._report import AuditReport, report
from caching_core.audit._verification import verify

__all__ = [
    "AuditClass",
    "AuditKey",
    "AuditLog",
    "AuditRecord",
    "AuditReport",
    "EventRecorder",
    "Fault",
    "Finding",
    "Outcome",
    "Status",
    "Verification",
    "destroyed_keys",
    "open_pii",
    "report",
    "tail",
    "verify",
]
