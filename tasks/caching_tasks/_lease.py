"""Whether a scheduled task is to be done now, or somebody has done it just before."""

from typing import Final

from caching_core.errors import KeyUnavailable, NotSupported, TierUnavailable
from caching_tasks._source import CacheSource

NAMESPACE: Final = "caching.tasks"


def may_run(source: CacheSource, task: str, once_in: float | None, holder: str) -> bool:
    """Take the lease on a task for ``once_in`` seconds; False if another holds it. Without seconds, always True.

    It lies in the cache itself, so that all workers see it. A cache that cannot keep it is no reason to leave a task undone:
    the task is the one to find out.
    """
    if once_in is None or once_in <= 0:
        return True
    try:
        handle = source.manager.tenant(source.own_tenant, namespace=NAMESPACE)
        # What was not stored, and is not there either, was skipped: the store is full or switched off.
        return handle.add(task, holder, ttl=once_in) or handle.get(task) in {None, holder}
    except (KeyUnavailable, NotSupported, TierUnavailable):
        return True
