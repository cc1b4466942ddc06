"""When beat sends the tasks."""

from typing import Any, Final

from caching_tasks._source import CacheSource

_DAY: Final = 86_400.0
_SHARE: Final = 0.9  # of its period in which a task is not done twice: beat is not that exact


def beat_schedule(source: CacheSource) -> dict[str, dict[str, Any]]:  # Any: what Celery takes
    """Return the entries: health each minute, recommendations each hour, the audit report each day.

    The first two go by ``health_check_interval`` and ``learning.optimization_interval`` of the settings. A message that no worker
    has taken within a period expires; the next one is on its way. Two beats do no harm: what one has had done is not done again
    within nine tenths of the period.
    """
    config = source.early_config
    return {
        "caching-health-check": _every(config.monitoring.health_check_interval, "caching.health_check"),
        "caching-optimize": _every(config.learning.optimization_interval, "caching.optimize"),
        "caching-audit-report": _every(_DAY, "caching.audit_report"),
    }


def _every(seconds: float, task: str) -> dict[str, Any]:
    return {
        "task": task,
        "schedule": seconds,
        "kwargs": {"once_in": seconds * _SHARE},
        "options": {"expires": seconds},
    }
