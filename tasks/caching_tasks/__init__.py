"""Celery tasks that look after the cache, their beat schedule, and the tenant of who sent a task.

``install(app)`` does all of it in one line.
"""

from caching_tasks._install import install
from caching_tasks._tasks import audit_report, health_check, optimize

__all__ = ["audit_report", "health_check", "install", "optimize"]
