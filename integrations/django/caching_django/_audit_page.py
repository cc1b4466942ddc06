"""What the page Audit shows: the last records that pass its filters, and on demand whether the chain holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from caching_core.audit import AuditClass, AuditRecord, Outcome, Verification, tail, verify
from caching_core.errors import AuditUnavailable
from caching_django._backend import TieredCache

LOOKED_AT: Final = 1000
SHOWN: Final = 100
_FILTERS: Final = ("class", "action", "outcome", "tenant")


@dataclass(frozen=True, slots=True)
class Row:
    """A record as the page shows it."""

    seq: int
    at: datetime
    cls: str
    action: str
    outcome: str
    tenant: str
    actor: str
    count: int
    detail: str


@dataclass(frozen=True, slots=True)
class AuditView:
    """The page: rows newest first, or ``empty``, which says why there are none and what to do."""

    rows: tuple[Row, ...]
    empty: str
    filters: Mapping[str, str]
    chain: Verification | None
    has_tenants: bool
    classes: tuple[str, ...] = tuple(AuditClass)
    outcomes: tuple[str, ...] = tuple(Outcome)


def audit_view(cache: TieredCache, asked: Mapping[str, str]) -> AuditView:
    """Read the log of an alias; ``asked`` are the parameters of the page. Raises CacheError where the cache cannot be opened."""
    config = cache.shared.config
    filters = {name: asked.get(name, "").strip() for name in _FILTERS}
    has_tenants = cache.shared.manager.is_multi_tenant
    empty, chain = "", None
    rows: tuple[Row, ...] = ()
    if not config.audit.enabled:
        empty = "Nothing is recorded: AUDIT says enabled = False. Remove that to keep a log."
    elif config.cache_levels < 2 or not config.l2.enabled:
        empty = "Nothing is recorded: this alias lives in memory alone, and the log needs a folder. Give it a LOCATION."
    else:
        cache.shared.manager.flush_audit(1.0)
        directory = config.host_directory()
        chain = verify(directory) if asked.get("verify") else None
        try:
            rows = tuple(_row(record) for record in reversed(tail(directory, LOOKED_AT)) if _fits(record, filters))[:SHOWN]
        except AuditUnavailable as error:
            empty = f"The log cannot be read: {error}."
        if not rows and not empty:
            empty = "No record fits. Remove a filter." if any(filters.values()) else "Nothing has been recorded yet. The first use is."
    return AuditView(rows, empty, filters, chain, has_tenants)


def _fits(record: AuditRecord, filters: Mapping[str, str]) -> bool:
    found = {"class": record.cls, "action": record.action, "outcome": record.outcome, "tenant": record.tenant}
    return all(not wanted or found[name] == wanted for name, wanted in filters.items())


def _row(record: AuditRecord) -> Row:
    return Row(
        seq=record.seq,
        at=datetime.fromtimestamp(record.at_ms / 1000, UTC),
        cls=record.cls,
        action=record.action,
        outcome=record.outcome,
        tenant=record.tenant,
        actor=f"{record.actor_type} {record.actor[:12]}".strip(),
        count=record.count,
        detail=", ".join(f"{name}: {value}" for name, value in record.detail.items()),
    )
