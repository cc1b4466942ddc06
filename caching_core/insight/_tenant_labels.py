"""Which tenants have series of their own: so many, and the rest together."""

from collections.abc import Mapping
from typing import Final

from caching_core.runtime import Mutex, after_fork_in_child

OTHER: Final = "other"
MOST_TENANTS: Final = 100


class TenantLabels:
    """The ``tenant_id`` label of each tenant: its id for the first ``limit``, ``other`` for the rest. Thread-safe.

    A tenant keeps the label that it had once, so that no counter ever falls. A tenant whose id is ``other`` is among the rest.
    """

    __slots__ = ("__weakref__", "_limit", "_lock", "_own")

    def __init__(self, limit: int = MOST_TENANTS) -> None:
        self._limit = limit
        self._own: set[str] = set()
        self._renew()
        after_fork_in_child(self._renew)

    def _renew(self) -> None:
        self._lock = Mutex()

    def settle(self, activity: Mapping[str, int]) -> dict[str, str]:
        """Return the label of each tenant; free places go to the most active of those that have none."""
        with self._lock:
            own = self._own
            free = self._limit - len(own)
            if free > 0:
                newcomers = [tenant for tenant in activity if tenant not in own and tenant != OTHER]
                own.update(sorted(newcomers, key=lambda tenant: (-activity[tenant], tenant))[:free])
            return {tenant: tenant if tenant in own else OTHER for tenant in activity}
