"""Decide whose a call is."""

from typing import Final

from caching_core.config import MAIN_TENANT, CacheConfig
from caching_core.errors import QuotaExceeded, TenantUnknown
from caching_core.runtime import Mutex, after_fork_in_child
from caching_core.tenancy._checks import check_tenant
from caching_core.tenancy._current import current_tenant

MAX_TENANTS: Final = 10_000


class TenantPolicy:
    """The tenant of a call, by the configuration. Thread-safe.

    A pinned configuration is always its tenant's, whatever the context says: a session backend
    stays on its own. Else the id given counts, else the context's, else ``main`` in single-tenant
    use. Multi-tenant (``tenants`` configured, or switched on by ``require_tenant``) has no fallback.
    """

    __slots__ = ("__weakref__", "_accepted", "_are_listed", "_is_isolated", "_is_multi", "_limit", "_lock", "_pinned")

    def __init__(self, config: CacheConfig, *, limit: int = MAX_TENANTS) -> None:
        tenancy = config.tenancy
        self._is_isolated = tenancy.isolation
        self._pinned = tenancy.tenant if tenancy.isolation else MAIN_TENANT
        self._are_listed = tenancy.tenants is not None
        self._is_multi = tenancy.isolation and self._are_listed
        self._limit = limit
        self._renew()
        after_fork_in_child(self._renew)
        # Ids that passed once; the listed ones are all there from the start.
        self._accepted = set(tenancy.tenants or ())

    def _renew(self) -> None:
        self._lock = Mutex()

    @property
    def is_multi_tenant(self) -> bool:
        """Return whether a call must say, or its context know, whose it is."""
        return self._is_multi

    @property
    def pinned(self) -> str | None:
        """Return the tenant that every call belongs to, or None."""
        return self._pinned

    @property
    def is_open(self) -> bool:
        """Return whether the settings neither list the tenants nor pin one."""
        return self._pinned is None and not self._are_listed

    def require_tenant(self) -> None:
        """Turn to multi-tenant use: a resolver or middleware says from now on whose a call is."""
        self._is_multi = self._is_isolated

    def resolve(self, tenant: str | None = None) -> str:
        """Return the tenant of a call; ``tenant`` is what the call says.

        Raises TenantUnknown for an id that is out of form, not listed, not the pinned one, or
        missing; QuotaExceeded when the process has met too many.
        """
        given = current_tenant() if tenant is None and self._pinned is None else tenant
        if given is None:
            given = self._default()
        if type(given) is str and given in self._accepted and self._pinned is None:
            return given
        return self._accept(given)

    def is_known(self, tenant: str) -> bool:
        """Return whether a request may name this tenant: requests never make one."""
        return tenant == self._pinned if self._pinned is not None else tenant in self._accepted

    def _default(self) -> str:
        if self._pinned is not None:
            return self._pinned
        if self._is_multi:
            raise TenantUnknown("no tenant: pass tenant_id=…, call within use_tenant(…), or pin one with tenant=… in the configuration")
        return MAIN_TENANT

    def _accept(self, tenant: object) -> str:
        checked = check_tenant(tenant)
        if self._pinned is not None:
            return self._only_pinned(checked)
        with self._lock:
            if checked in self._accepted:
                return checked
            if self._are_listed:
                raise TenantUnknown(f"tenant '{checked}' is not among the configured tenants; add it to `tenants`, or correct the id")
            if len(self._accepted) >= self._limit:
                raise QuotaExceeded(
                    f"this process has met {self._limit} tenants and takes no more; list them in `tenants`, or look for ids made from input"
                )
            self._accepted.add(checked)
        return checked

    def _only_pinned(self, tenant: str) -> str:
        if tenant == self._pinned:
            return tenant
        reason = "is pinned to" if self._is_isolated else "has tenant_isolation off, so that everything is in"
        raise TenantUnknown(
            f"tenant '{tenant}' is not served here: this cache {reason} '{self._pinned}'; leave the id out, or use another cache"
        )
