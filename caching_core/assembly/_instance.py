"""One opened cache of this process: everything that equal configurations share, wired from its parts."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from caching_core.assembly._gate import LogGate, listen
from caching_core.assembly._keys import key_provider, key_ring, keystore_of
from caching_core.assembly._note import note
from caching_core.audit import AuditLog
from caching_core.codec import Codec
from caching_core.coherence import Stamps
from caching_core.config import CacheConfig, PolicyBook, fingerprint
from caching_core.crypto import FLEET, KeyRing, derive
from caching_core.engine import AuditGate, Counts, EngineOptions, EngineState, MultiLevelCache, OpenGate
from caching_core.errors import ConfigInvalid, TierUnavailable
from caching_core.events import Hooks, Started, Stopped, TierLost
from caching_core.insight import CacheStats
from caching_core.keystore import SqliteKeyStore
from caching_core.runtime import BlockingRuntime, LoopRuntime, PeriodicWorker, Runtime, run_sync
from caching_core.tiers import Store
from caching_core.tiers.disk import DiskStore, own_directory
from caching_core.tiers.memory import MemoryTier

UPKEEP_SECONDS: Final = 1.0


class Instance:
    """The engines of both worlds over one state, with the store, keys, audit log and upkeep they need.

    Made by ``open_instance``; shared through the process registry; closed once.
    """

    def __init__(self, config: CacheConfig, *, environ: Mapping[str, str] | None = None) -> None:
        """Open it. Raises ConfigInvalid, KeyUnavailable; a directory that cannot be used means memory only, said once."""
        refuse_what_is_not_built(config)
        self.config = config
        self.hooks = Hooks()
        self.hooks.subscribe(note)
        self.directory = self._usable_directory(environ)
        self.ring: KeyRing | None = None
        self._keystore: SqliteKeyStore | None = None
        self.audit: AuditLog | None = None
        gate: AuditGate = OpenGate()
        secret = self._open_keys(os.environ if environ is None else environ)
        self.stamps = self._stamps(secret)
        if self.directory is not None and config.audit.enabled:
            self.audit = AuditLog(self.directory, key=derive(secret, "audit", FLEET))
            listen(self.audit, self.hooks)
            gate = LogGate(self.audit)
        memory = None
        if config.l1.enabled:
            memory = MemoryTier(max_entries=config.l1.max_entries, max_bytes=config.l1.max_bytes, policy=config.l1.policy)
        self.memory = memory
        self.state = EngineState(
            options=_options(config),
            stamps=self.stamps,
            memory=memory,
            codec=Codec(compression=config.compression, max_value_bytes=config.max_value_bytes, serializer=config.serializer),
            ring=self.ring,
            hooks=self.hooks,
            policies=PolicyBook(config.policies),
            awake=self.ensure_upkeep,
            gate=gate,
        )
        self._upkeep = PeriodicWorker(UPKEEP_SECONDS, self._keep_up, name="caching-upkeep") if self.directory is not None else None
        self.blocking_runtime = BlockingRuntime()
        self.loop_runtime = LoopRuntime()
        self.blocking = self._engine(self.blocking_runtime)
        self.loop = self._engine(self.loop_runtime)
        self.hooks.emit(Started(fingerprint(config)))

    # -- making --------------------------------------------------------------------------------

    def _usable_directory(self, environ: Mapping[str, str] | None) -> Path | None:
        config = self.config
        if config.cache_levels < 2 or not config.l2.enabled or config.disabled:
            return None
        directory = config.resolved_directory(environ)
        try:
            own_directory(directory)
        except TierUnavailable as error:
            self.hooks.emit(TierLost("disk", f"{error}; going on with memory only"))
            return None
        return directory

    def _open_keys(self, environ: Mapping[str, str]) -> bytes:
        """Return what the fleet shares: also without security the audit log seals names with it, and cells are keyed with it."""
        if self.directory is None:
            return b""
        self._keystore = keystore_of(self.config, self.directory)
        ring, secret = key_ring(self._keystore, key_provider(self.config, self.directory, environ=environ))
        self.ring = ring if self.config.crypto.enabled else None
        return secret

    def _stamps(self, secret: bytes) -> Stamps:
        try:
            return Stamps(self.directory, secret=secret, on_replaced=self._drop_all)
        except TierUnavailable as error:
            self.hooks.emit(TierLost("disk", f"{error}; going on with memory only"))
            self.directory = None
            return Stamps(None, secret=secret, on_replaced=self._drop_all)

    def _engine(self, runtime: Runtime) -> MultiLevelCache:
        return MultiLevelCache(self.state, self._store(runtime), runtime)

    def _store(self, runtime: Runtime) -> Store | None:
        if self.directory is None:
            return None
        return DiskStore(
            self.directory,
            generation=self.stamps,
            runtime=runtime,
            max_bytes=self.config.l2.disk_max_bytes,
            deadline=self.config.l2.deadline,
            now_ms=self.stamps.now_ms,
            on_event=self.hooks.emit,
        )

    # -- work ----------------------------------------------------------------------------------

    def ensure_upkeep(self) -> None:
        """Start the upkeep thread if it does not run: at the first use in this process, also after a fork."""
        if self._upkeep is not None:
            self._upkeep.ensure()

    def _keep_up(self) -> None:
        self.stamps.check()
        if self.blocking.store is not None:
            run_sync(self.blocking.store.maintain())

    def _drop_all(self) -> None:
        self.state.drop_all()
        self.state.bind_views()

    def clear_all(self) -> None:
        """Invalidate everything of every tenant, on all levels, in one step. Raises AuditUnavailable: then nothing was done."""
        self.state.gate.admit("clear_all", tenant="", namespace="")
        if self.directory is None:
            self.stamps.touch_all()
        else:
            self.stamps.void(self.stamps.current(), "clear_all")
        self.state.drop_all()

    async def stats(self, store: Store | None) -> CacheStats:
        """Return the figures of this process, and of the store as ``store`` sees it."""
        total = Counts()
        for scope in list(self.state.scopes.values()):
            total.add(scope.counts)
        figures: dict[str, object] = {name: getattr(total, name) for name in Counts.__dataclass_fields__}
        if self.memory is not None:
            usage = self.memory.usage()
            figures |= {
                "hits_l1": self.memory.hits(), "l1_entries": usage.entries, "l1_bytes": usage.bytes, "l1_evicted": usage.evicted,
                "l1_max_entries": usage.max_entries, "l1_max_bytes": usage.max_bytes, "l1_policy": self.memory.running,
            }  # fmt: skip
        if store is not None:
            try:
                held = await store.usage()
            except TierUnavailable:
                held = None
            if held is not None:
                figures |= {
                    "l2_entries": held.entries, "l2_bytes": held.frame_bytes, "l2_stored_bytes": held.stored_bytes,
                    "l2_evicted": held.evicted, "l2_expired": held.expired,
                }  # fmt: skip
        figures["tenants"] = len({tenant for tenant, _ in self.state.scopes})
        return CacheStats(**figures)  # type: ignore[arg-type]  # the names are the fields', checked by the constructor

    def before_fork(self) -> None:
        """Let no thread hold what a child would go on holding."""
        self.stamps.before_fork()

    def after_fork_in_parent(self) -> None:
        """Let the threads go on."""
        self.stamps.after_fork_in_parent()

    def after_fork(self) -> None:
        """Give the child its own locks and numbers."""
        self.state.after_fork()

    def close(self) -> None:
        """Stop the upkeep, close the connections, write out the audit log. Safe to call twice."""
        self.hooks.emit(Stopped(fingerprint(self.config)))
        if self._upkeep is not None:
            self._upkeep.stop()
        for runtime in (self.blocking_runtime, self.loop_runtime):
            runtime.close()
        for engine in (self.blocking, self.loop):
            if engine.store is not None:
                engine.store.close()
        if self.audit is not None:
            self.audit.close()
        if self._keystore is not None:
            self._keystore.close()


def _options(config: CacheConfig) -> EngineOptions:
    return EngineOptions(
        default_ttl=config.default_ttl,
        is_plain=not config.crypto.enabled and config.cache_levels > 1 and config.l2.enabled,
        strategy=config.strategy,
        strict=config.strict,
        read_only=config.read_only,
        disabled=config.disabled,
        hashed_names=config.crypto.key_privacy == "hashed",
        max_value_bytes=config.max_value_bytes,
    )


def refuse_what_is_not_built(config: CacheConfig) -> None:
    """Raise ConfigInvalid for settings whose part of the cache this release does not carry."""
    refusals: dict[str, bool] = {
        "redis_url": config.l2.redis_url is not None,
        "l3_nodes": bool(config.l3.nodes),
        "sentinels": bool(config.l2.sentinels),
        "roles": config.tenancy.roles is not None,
        "pickle": config.crypto.pickle != "off",
        "metrics_port": config.monitoring.metrics_port is not None,
    }
    asked = [name for name, is_set in refusals.items() if is_set]
    if asked:
        raise ConfigInvalid(f"{', '.join(asked)}: not in this release, which carries memory and disk on one host; remove the setting")
