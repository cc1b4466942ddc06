"""What a log tells of a stretch of time: how many records of which kind, and whether the chain holds."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from caching_core.audit._finding import Verification
from caching_core.audit._reading import each_record
from caching_core.audit._record import AuditRecord
from caching_core.audit._verification import verify

_MOST: Final = 1000
OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The records from ``since`` to before ``until``, of one tenant or of all, and what ``verify`` says of the whole log.

    A record can stand for several equal events: ``events`` counts these. ``actions`` are events by class, action and outcome,
    ``tenants`` events by tenant (an empty id: of none); both name 1000 at most, and the rest together as ``other``.
    """

    since: datetime
    until: datetime
    tenant: str | None
    records: int
    events: int
    actions: Mapping[tuple[str, str, str], int]
    tenants: Mapping[str, int]
    chain: Verification

    def as_dict(self) -> dict[str, Any]:
        """Return a plain mapping, for JSON."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "tenant": self.tenant,
            "records": self.records,
            "events": self.events,
            "actions": [
                {"class": cls, "action": action, "outcome": outcome, "events": count}
                for (cls, action, outcome), count in sorted(self.actions.items())
            ],
            "tenants": dict(sorted(self.tenants.items())),
            "chain": {
                "status": self.chain.status.value,
                "records": self.chain.records,
                "checkpoints": self.chain.checkpoints,
                "log": self.chain.log,
                "public_key": self.chain.public_key,
                "finding": None if self.chain.finding is None else self.chain.finding.message,
                "notes": list(self.chain.notes),
            },
        }


def report(directory: str | Path, *, since: datetime, until: datetime, tenant: str | None = None) -> AuditReport:
    """Read the log of ``directory`` from start to end; its size sets the time that takes, memory stays small.

    Raises AuditUnavailable where it cannot be read. A broken chain does not raise: ``chain`` says so.
    """
    chain = verify(directory)
    first, last = _milliseconds(since), _milliseconds(until)
    records = events = 0
    actions: Counter[tuple[str, str, str]] = Counter()
    tenants: Counter[str] = Counter()
    for record in each_record(directory):
        if not first <= record.at_ms < last or (tenant is not None and record.tenant != tenant):
            continue
        count = max(record.count, 1)
        records += 1
        events += count
        kind = _kind(record)
        actions[kind if kind in actions or len(actions) < _MOST else (OTHER, OTHER, OTHER)] += count
        tenants[record.tenant if record.tenant in tenants or len(tenants) < _MOST else OTHER] += count
    return AuditReport(since, until, tenant, records, events, dict(actions), dict(tenants), chain)


def _kind(record: AuditRecord) -> tuple[str, str, str]:
    return record.cls, record.action, record.outcome


def _milliseconds(moment: datetime) -> float:
    """Return Unix time in milliseconds; a moment without a zone is UTC."""
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp() * 1000
