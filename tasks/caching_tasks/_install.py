"""One line that binds the cache to a Celery application."""

from collections.abc import Mapping
from typing import Any

from celery import signals

from caching_core import CacheConfig
from caching_core.assembly import close_all
from caching_tasks._carrying import end_task, enter_task, stamp_message
from caching_tasks._schedule import beat_schedule
from caching_tasks._source import CacheSource, bind, source_of

# Any, in this module: Celery ships no annotations.


def install(app: Any, cache: Mapping[str, object] | CacheConfig | str | None = None) -> None:
    """Give a Celery application the cache's tasks and their schedule, and let tenant and actor travel with every task.

    ``cache`` is a configuration, or the name of a Django alias whose backend is ``caching_django.TieredCache``. Left out, it is
    the alias ``default`` where ``DJANGO_SETTINGS_MODULE`` is set, and else what the environment says (``CACHING_*``).

    Nothing is opened here: a worker opens the cache in the process that runs the first task, after the fork, and shares it
    with every manager of equal settings there. The schedule is merged into ``beat_schedule`` when the application is
    configured; an entry of the same name is left as it is. Calling it again with another ``cache`` replaces that.
    Raises ConfigInvalid for a wrong setting; for a wrong alias the tasks do.
    """
    is_new = source_of(app) is None
    bind(app, CacheSource(cache))
    signals.before_task_publish.connect(stamp_message, dispatch_uid="caching_tasks.stamp", weak=False)
    signals.task_prerun.connect(enter_task, dispatch_uid="caching_tasks.enter", weak=False)
    signals.task_postrun.connect(end_task, dispatch_uid="caching_tasks.end", weak=False)
    signals.worker_process_shutdown.connect(_close, dispatch_uid="caching_tasks.close", weak=False)
    if not is_new:
        return

    def merge(**_: Any) -> None:
        source = source_of(app)
        if source is not None:
            app.conf.beat_schedule = {**beat_schedule(source), **(app.conf.beat_schedule or {})}

    if app.configured:
        merge()
    else:
        app.on_after_configure.connect(merge, weak=False)


def _close(**_: Any) -> None:
    """Close what this child of the pool has opened: it leaves without running what is registered for its exit."""
    close_all()
