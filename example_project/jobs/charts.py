"""Charts, made by tasks: whoever sends one says in whose name, and the task just uses the cache."""

from functools import partial
from typing import Any

from celery import shared_task

from caching_core import SyncCacheManager, current_tenant, use_tenant
from example_project.catalogue import entries, queries
from example_project.catalogue.models import Artist
from example_project.configuration import LABELS, cache_settings

# Opened by the first task of a worker process, after the fork, and shared with the cache's own tasks.
_manager = SyncCacheManager(cache_settings())


def _refresh_all() -> int:
    """Send one task per label."""
    for label in LABELS:
        with use_tenant(label):
            refresh.delay()
    return len(LABELS)


def _refresh() -> str:
    """Make the chart of the label in whose name this runs."""
    entry, label = entries.chart(), str(current_tenant())
    _manager.tenant().set(entry.key, queries.chart(label), **entry.options)
    return label


def _warm() -> int:
    """Load every artist's page of the label in whose name this runs; return how many there are."""
    cache, label = _manager.tenant(), str(current_tenant())
    numbers = list(Artist.objects.filter(label_id=label).values_list("pk", flat=True))
    for number in numbers:
        entry = entries.artist_page(number)
        cache.get_or_set(entry.key, partial(queries.artist_page, label, number), **entry.options)
    return len(numbers)


# Called and not used as decorators, for the types: Celery ships no annotations.
refresh_all: Any = shared_task(name="charts.refresh_all")(_refresh_all)
refresh: Any = shared_task(name="charts.refresh")(_refresh)
warm: Any = shared_task(name="charts.warm")(_warm)
