"""Health checks: on demand, or again and again in a thread that tells of changes."""

from collections.abc import Callable
from typing import Final

from caching_core.insight import Health
from caching_core.manager import CacheManager
from caching_core.runtime import PeriodicWorker
from caching_core.sync import SyncCacheManager

_THREAD: Final = "caching-health"


class HealthChecker:
    """Checks whether the levels of a manager's cache answer. Thread-safe.

    ``check`` does it once. ``start`` does it every ``interval`` seconds (``health_check_interval`` of the settings if left out)
    in a daemon thread, until ``stop``; a forked child that wants it starts it again. ``on_change`` is told of the first result
    and of each that differs from the one before, in the thread that checked.
    """

    def __init__(
        self,
        manager: CacheManager | SyncCacheManager,
        *,
        interval: float | None = None,
        on_change: Callable[[Health], object] | None = None,
    ) -> None:
        self._manager = manager
        self._on_change = on_change
        self._last: Health | None = None
        # Equal settings share one engine, so the thread asks the same cache, and blocks for it.
        self._blocking = SyncCacheManager(manager.config)
        self._worker = PeriodicWorker(interval or manager.config.monitoring.health_check_interval, self._turn, _THREAD)

    @property
    def last(self) -> Health | None:
        """Return the latest result; None before the first."""
        return self._last

    async def check(self) -> Health:
        """Check now; the deadlines of the levels bound it. A blocking manager's check blocks."""
        manager = self._manager
        return self._noted(await manager.health() if isinstance(manager, CacheManager) else manager.health())

    def start(self) -> None:
        """Begin to check in a thread, the first time at once."""
        self._blocking.start()
        self._worker.ensure()
        self._worker.poke()

    def stop(self) -> None:
        """End the thread, and let the cache be closed by its managers."""
        self._worker.stop()
        self._blocking.close()

    def _turn(self) -> None:
        self._noted(self._blocking.health())

    def _noted(self, health: Health) -> Health:
        before, self._last = self._last, health
        if self._on_change is not None and (before is None or before.conditions != health.conditions):
            self._on_change(health)
        return health
