"""What both managers do alike: settle the configuration, open the engine on first use, find tenants."""

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from caching_core.assembly import Instance, acquire, may_be_away, newest, release, renew
from caching_core.codec import BaseSerializer
from caching_core.config import CacheConfig
from caching_core.engine import BoundHandle, CustomStrategy
from caching_core.errors import CacheError, ConfigInvalid
from caching_core.events import TenantRejected
from caching_core.manager._closed import close_handle
from caching_core.runtime import Mutex, after_fork_in_child
from caching_core.tenancy import Rejection, RequestView, Resolver, TenantPolicy, check_namespace, resolve
from caching_core.tiers import Store
from caching_core.types import Invalidated

H = TypeVar("H", bound=BoundHandle)


class OpenedManager(Generic[H]):
    """The common part of CacheManager and SyncCacheManager, whose handles are ``H``: all of it synchronous and thread-safe.

    Opened by a first use that meets a fault which may pass (keys or store cannot be had), it is open all the same: reads
    miss, loaders run, what must not be lost raises TierUnavailable, and it is tried again once a second. ``strict`` raises.

    Closing it closes its handles, for good: every verb of one that is kept raises CacheError, also when the manager is
    started again; ``tenant`` then gives new ones. Managers of equal settings and their handles go on.
    """

    requires_tenant = False

    def __init__(self, config: Mapping[str, object] | CacheConfig | None = None) -> None:
        self._config = CacheConfig.build(config)
        if self.requires_tenant and not self._config.tenancy.isolation:
            raise ConfigInvalid(
                f"tenant_isolation is false, which puts every call in one tenant, while {type(self).__name__} refuses calls "
                "that name none; leave tenant_isolation out, or take the manager that is not tenant aware"
            )
        self._policy = TenantPolicy(self._config)
        if self.requires_tenant:
            self._policy.require_tenant()
        self._renew()
        after_fork_in_child(self._renew)
        self._instance: Instance | None = None
        self._is_closed = False
        self._handles: dict[tuple[str, str], H] = {}
        self._explicit: dict[tuple[str, str | None], H] = {}

    def _renew(self) -> None:
        self._mutex = Mutex()

    @property
    def config(self) -> CacheConfig:
        """Return the settings in force."""
        return self._config

    def __repr__(self) -> str:
        """Show the namespace and whether the cache is open; no secrets."""
        state = "closed" if self._is_closed else "open" if self._instance is not None else "not opened"
        return f"<{type(self).__name__} {self._config.namespace!r} {state}>"

    def tenant(self, tenant_id: str | None = None, *, namespace: str | None = None) -> H:
        """Return the handle of a tenant (the current one, or ``main``, if left out) and namespace (the configured one).

        Raises TenantUnknown, QuotaExceeded (too many tenants in this process), KeyInvalid for a bad namespace.
        """
        if tenant_id is not None:
            try:
                handle = self._explicit.get((tenant_id, namespace))
            except TypeError:  # no text at all: refused below, with its reason
                handle = None
            if handle is not None:
                return handle
        where = self._decide(tenant_id, namespace)
        handle = self._handles.get(where)
        if handle is not None and tenant_id is None:
            return handle
        return self._remembered(where, None if tenant_id is None else (tenant_id, namespace))

    def _remembered(self, where: tuple[str, str], asked: tuple[str, str | None] | None) -> H:
        """Return the one handle of ``where``, made if need be, and note what it was asked for as."""
        while True:
            instance = self._opened()
            made = self._handles.get(where) or self._bind(instance, *where)
            with self._mutex:
                if self._instance is instance:  # not closed meanwhile
                    handle = self._handles.setdefault(where, made)
                    if asked is not None:
                        self._explicit[asked] = handle
                    return handle

    def _bind(self, instance: Instance, tenant: str, namespace: str) -> H:
        """Make the handle; each manager gives it its own engine."""
        raise NotImplementedError

    def _unbind(self, handle: H) -> None:
        """Let a handle of a closed manager say so."""
        close_handle(handle)

    @property
    def is_multi_tenant(self) -> bool:
        """Return whether a call must say, or its context know, whose it is."""
        return self._policy.is_multi_tenant

    def require_tenant(self) -> None:
        """Turn to multi-tenant use: from now on a call without a tenant, explicit or current, is TenantUnknown.

        For who puts a resolver before the cache; a pinned tenant and ``tenant_isolation=False`` are left as they are.
        """
        self._policy.require_tenant()

    def tenant_of(
        self, view: RequestView, resolvers: Sequence[Resolver], *, is_known: Callable[[str], bool] | None = None
    ) -> str | Rejection:
        """Return the tenant of a request, or the answer that it gets instead, which is then in the audit log.

        A tenant is known if the settings list or pin it; where they do neither, if code of this process has named it, or if
        ``is_known`` says so.
        """
        policy = self._policy
        found = resolve(
            view,
            resolvers,
            is_known=lambda tenant: policy.is_known(tenant) or (is_known is not None and policy.is_open and is_known(tenant)),
        )
        if isinstance(found, Rejection):
            self._opened().hooks.emit(TenantRejected(found.cause.value))
        return found

    def register_strategy(self, name: str, strategy: CustomStrategy) -> None:
        """Make a strategy known under a name, for ``strategy=`` of calls, policies and the settings. Replaces an older one."""
        self._opened().state.strategies.register(name, strategy)

    def register_serializer(self, name: str, serializer: BaseSerializer) -> None:
        """Make a serialiser known under a name, for ``serializer=`` of calls and policies. Every process must register it."""
        self._opened().state.codec.register(name, serializer)

    def register_class(self, cls: type, *, name: str | None = None) -> None:
        """Let instances of an Enum, dataclass or pydantic model be cached as what they are. Every process must register it."""
        self._opened().state.codec.register_class(cls, name=name)

    def enable_ml_optimization(
        self, *, learning_rate: float = 0.01, optimization_interval: float = 3600.0, min_data_points: int = 1000
    ) -> None:
        """Let the model for lifetimes act from now on, as the setting ``ml_predictions`` does, for all managers that share this cache.

        It decides where nobody gives a ``ttl``, between ``ttl_floor`` and ``default_ttl`` × ``ttl_stretch``; what it has learned
        in shadow mode counts. ``learning_rate``: as the setting. The other two (seconds, observations) are those of the
        recommendations, which this release does not carry. Raises ConfigInvalid for values that the settings would not take.
        """
        group = {"learning_rate": learning_rate, "optimization_interval": optimization_interval, "min_data_points": min_data_points}
        self._opened().let_models_act(self._config.replace({"learning": group}).learning)

    def metrics_text(self) -> str:
        """Return the metrics of this process in the Prometheus text format, version 0.0.4.

        Names begin with ``metrics_namespace``. 100 tenants have series of their own, the rest are ``other`` together. Asks the
        store what it holds, so it may block for a moment: on an event loop call it in a thread.
        """
        return self._opened().metrics_text()

    def flush_audit(self, timeout: float = 5.0) -> bool:
        """Write out what the audit log holds in memory; False if ``timeout`` seconds were not enough."""
        audit = self._opened().audit
        return True if audit is None else audit.flush(timeout)

    async def _clear_all(self, opened: Instance, store: Store | None) -> Invalidated:
        try:
            await opened.clear_all(store)
        except CacheError:
            if not self._config.disabled:
                raise
            return Invalidated(0, pending=True)
        return Invalidated(0, pending=True) if opened.state.options.is_cut_off else Invalidated(1)

    def _opened(self, *, is_patient: bool = True) -> Instance:
        instance = self._instance
        if instance is None or instance.successor is not None:
            with self._mutex:
                if self._is_closed:
                    raise CacheError("this cache manager is closed; make a new one, or call start() again")
                instance = self._instance = newest(
                    self._instance or acquire(self._config, self._keep, is_patient=is_patient and not self._config.strict)
                )
        return instance

    def _keep(self, instance: Instance) -> None:
        self._instance = instance

    def _reopen(self) -> None:
        with self._mutex:
            self._is_closed = False
        instance = self._opened(is_patient=False)
        instance.begin()
        if instance.is_lost and not may_be_away(self._config):  # opened by an earlier use, or by another manager
            renew(instance)

    def _close(self) -> None:
        with self._mutex:
            instance, self._instance = self._instance, None
            self._is_closed = True
            handles = list(self._handles.values())
            self._handles.clear()
            self._explicit.clear()
        for handle in handles:
            self._unbind(handle)
        if instance is not None:
            release(instance)

    def _decide(self, tenant_id: str | None, namespace: str | None) -> tuple[str, str]:
        try:
            tenant = self._policy.resolve(tenant_id)
        except CacheError as error:
            self._opened().hooks.emit(TenantRejected(type(error).__name__))
            raise
        return tenant, self._config.namespace if namespace is None else check_namespace(namespace)
