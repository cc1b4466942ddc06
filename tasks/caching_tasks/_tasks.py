"""The tasks. Each returns a mapping of JSON, changes nothing in the cache, and may be sent at any time by hand."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from celery import shared_task
from celery.utils.log import get_task_logger

from caching_core.audit import report
from caching_core.errors import AuditUnavailable, ConfigInvalid, KeyUnavailable, TierUnavailable
from caching_core.insight import Condition, recommendations
from caching_tasks._lease import may_run
from caching_tasks._source import installed_source

_LOG = get_task_logger("caching_tasks")
_PASSING: Final = (AuditUnavailable, KeyUnavailable, TierUnavailable)
_RETRIES: Final[dict[str, Any]] = {
    "autoretry_for": _PASSING,
    "max_retries": 3,
    "retry_backoff": 2,
    "retry_backoff_max": 60,
    "retry_jitter": True,
}

# Any, in this module: Celery ships no annotations, and results are JSON.


def _health_check(self: Any, *, once_in: float | None = None) -> dict[str, Any]:
    """Ask each level of the cache: ``{"status": "ok" | "degraded", "healthy": …, "tiers": […]}``.

    A level that is down is a finding and not an error of the task: it is logged, with its reason, and the result says so.
    With ``once_in`` nothing is done if a worker did it within so many seconds (``"status": "skipped"``).
    """
    source = installed_source(self.app)
    if not may_run(source, "health_check", once_in, self.request.id or ""):
        return _skipped(once_in)
    health = source.manager.health()
    for tier in health.tiers:
        if tier.condition is not Condition.UP:
            _LOG.warning("the %s tier (%s) is %s: %s", tier.tier, tier.level.value, tier.condition.value, tier.reason)
    return {**health.as_dict(), "healthy": health.is_healthy, **_made()}


def _optimize(self: Any, *, once_in: float | None = None) -> dict[str, Any]:
    """Say which settings are worth a change: ``{"recommendations": […], "figures": {…}}``; nothing is applied.

    Figures of reads and of memory are those of the process that runs the task; those of the store are everybody's.
    """
    source = installed_source(self.app)
    if not may_run(source, "optimize", once_in, self.request.id or ""):
        return _skipped(once_in)
    manager = source.manager
    stats = manager.stats()
    found = recommendations(stats, manager.config)
    for each in found:
        _LOG.info("%s: %s from %s to %s (%s)", each.kind, each.setting, each.current, each.proposed, each.description)
    return {"status": "ok", "recommendations": [each.as_dict() for each in found], "figures": stats.as_dict(), **_made()}


def _audit_report(
    self: Any, *, start: str | None = None, end: str | None = None, tenant: str | None = None, once_in: float | None = None
) -> dict[str, Any]:
    """Count what the audit log of this host holds from ``start`` to before ``end`` and verify its chain.

    Both are dates or times of ISO 8601, in UTC unless they say otherwise; left out they are a day ago and now. ``tenant``
    leaves the others out. ``chain.status`` is ``good``, ``tampered`` or ``incomplete``; a chain that does not hold is logged
    as an error. Raises ConfigInvalid for a time out of form or where nothing is recorded.
    """
    source = installed_source(self.app)
    if not may_run(source, "audit_report", once_in, self.request.id or ""):
        return _skipped(once_in)
    since = None if start is None else _moment("start", start)
    until = None if end is None else _moment("end", end)
    manager = source.manager
    config = manager.config
    if not config.audit.enabled or config.cache_levels < 2 or not config.l2.enabled:
        raise ConfigInvalid("this cache keeps no audit log: audit is off, or it lives in memory alone; there is nothing to report")
    manager.flush_audit()
    # After the flush: what this process had to say until now stands before that moment.
    until = until or datetime.now(UTC) + timedelta(milliseconds=1)
    found = report(config.host_directory(), since=since or until - timedelta(days=1), until=until, tenant=tenant)
    if found.chain.finding is not None:
        _LOG.error("the audit log does not hold: %s", found.chain.finding.message)
    return {**found.as_dict(), "status": found.chain.status.value, **_made()}


def _moment(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise ConfigInvalid(f"{name} must be a date or time of ISO 8601, such as 2026-01-31 or 2026-01-31T12:00:00+00:00") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _made() -> dict[str, Any]:
    return {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "pid": os.getpid()}


def _skipped(once_in: float | None) -> dict[str, Any]:
    return {"status": "skipped", "reason": f"done by another within {once_in:g} s", **_made()}


# Called and not used as decorators: without annotations of Celery's, a decorator would take ours away.
health_check: Any = shared_task(bind=True, name="caching.health_check")(_health_check)
optimize: Any = shared_task(bind=True, name="caching.optimize", **_RETRIES)(_optimize)
audit_report: Any = shared_task(bind=True, name="caching.audit_report", **_RETRIES)(_audit_report)
