"""One opened cache of this process: everything that equal configurations share, wired from its parts."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Final

from caching_core.assembly._gate import LogGate, listen
from caching_core.assembly._keys import bury_destroyed
from caching_core.assembly._late_store import LateStore
from caching_core.assembly._note import note
from caching_core.assembly._place import Place, is_full, open_place
from caching_core.assembly._unbuilt import refuse_what_is_not_built, without_effect
from caching_core.audit import AuditLog
from caching_core.codec import Codec, PickleSerializer
from caching_core.config import CacheConfig, PolicyBook, fingerprint
from caching_core.crypto import FLEET, derive
from caching_core.engine import Counts, EngineOptions, EngineState, MultiLevelCache, OpenGate
from caching_core.errors import AuditUnavailable, CacheError, NotSupported, TierUnavailable
from caching_core.events import ConfigNote, Hooks, Started, Stopped, UpkeepFailed
from caching_core.insight import CacheStats
from caching_core.runtime import BlockingRuntime, LoopRuntime, PeriodicWorker, Runtime, run_sync
from caching_core.tiers import Store
from caching_core.tiers.disk import DiskStore
from caching_core.tiers.memory import MemoryTier

UPKEEP_SECONDS: Final = 1.0


class Instance:
    """The engines of both worlds over one state, with the store, keys, audit log and upkeep they need.

    Made by ``acquire`` and shared through the process registry; closed once, and of no use after that: what still holds a
    part of it is told so (CacheError), finds nothing in L1, and starts nothing again.
    """

    def __init__(self, config: CacheConfig, *, environ: Mapping[str, str] | None = None) -> None:
        """Open it. Raises ConfigInvalid, KeyUnavailable, TierUnavailable; a call after these tries again.

        A directory that this user cannot have at all means memory only, said once.
        """
        refuse_what_is_not_built(config)
        self.config = config
        self.hooks = Hooks()
        self.hooks.subscribe(note)
        self._is_closed = False
        with ExitStack() as opened:
            place = open_place(config, self.hooks, environ=os.environ if environ is None else environ, on_replaced=self._drop_all)
            opened.callback(place.close)
            self.directory, self.stamps, self.ring = place.directory, place.stamps, place.ring
            self.audit = self._open_audit(place, opened)
            self.memory = _memory(config)
            self.state = self._make_state()
            self.blocking_runtime, self.loop_runtime = BlockingRuntime(), LoopRuntime()
            self.blocking = self._engine(self.blocking_runtime, opened)
            self.loop = self._engine(self.loop_runtime, opened)
            opened.callback(self.loop_runtime.close)
            opened.callback(self.blocking_runtime.close)
            self._upkeep = None
            if self.directory is not None:
                self._upkeep = PeriodicWorker(UPKEEP_SECONDS, self._keep_up, name="caching-upkeep")
                opened.callback(self._upkeep.stop)
            self._opened = opened.pop_all()
        self._say_what_is_idle()
        self.hooks.emit(Started(fingerprint(config)))

    # -- making --------------------------------------------------------------------------------

    def _open_audit(self, place: Place, opened: ExitStack) -> AuditLog | None:
        if place.directory is None or place.keystore is None or not self.config.audit.enabled:
            return None
        audit = AuditLog(place.directory, key=derive(place.secret, "audit", FLEET))
        opened.callback(audit.close)
        opened.callback(listen(audit, self.hooks))
        try:
            bury_destroyed(place.keystore, place.directory)
        except AuditUnavailable as error:
            self.hooks.emit(ConfigNote(f"destroyed keys were not compared with the audit log: {error}"))
        return audit

    def _make_state(self) -> EngineState:
        config = self.config
        return EngineState(
            options=_options(config),
            stamps=self.stamps,
            memory=self.memory,
            codec=_codec(config),
            ring=self.ring,
            hooks=self.hooks,
            policies=PolicyBook(config.policies),
            awake=self.ensure_upkeep,
            gate=OpenGate() if self.audit is None else LogGate(self.audit),
        )

    def _engine(self, runtime: Runtime, opened: ExitStack) -> MultiLevelCache:
        store = self._store(runtime)
        if store is not None:
            opened.callback(store.close)
        return MultiLevelCache(self.state, store, runtime)

    def _store(self, runtime: Runtime) -> Store | None:
        directory = self.directory
        if directory is None:
            return None

        def make() -> DiskStore:
            return DiskStore(
                directory,
                generation=self.stamps,
                runtime=runtime,
                max_bytes=self.config.l2.disk_max_bytes,
                deadline=self.config.l2.deadline,
                now_ms=self.stamps.now_ms,
                on_event=self.hooks.emit,
            )

        try:
            return make()
        except TierUnavailable as error:
            if not is_full(error):
                raise
            # Stamps stand there, so others may share this directory now or later: they have to be obeyed.
            return LateStore(make, stamps=self.stamps, on_event=self.hooks.emit, error=error)

    def _say_what_is_idle(self) -> None:
        notes = (without_effect(self.config), "" if self.memory is None else self.memory.policy_note)
        message = "; ".join(filter(None, notes))
        if message:
            self.hooks.emit(ConfigNote(message))

    # -- work ----------------------------------------------------------------------------------

    def ensure_upkeep(self) -> None:
        """Start the upkeep thread if it does not run: at the first use in this process, also after a fork.

        Raises CacheError once this is closed.
        """
        if self._is_closed:
            raise CacheError("this cache was closed; open a manager, and take a new handle with tenant(…)")
        if self._upkeep is not None:
            self._upkeep.ensure()

    def _keep_up(self) -> None:
        try:
            self.stamps.check()
        except TierUnavailable as error:
            self.hooks.emit(UpkeepFailed(str(error)))  # the next turn goes on with it
        if self.blocking.store is not None:
            run_sync(self.blocking.store.maintain())

    def _drop_all(self) -> None:
        self.state.drop_all()
        self.state.bind_views()

    def clear_all(self) -> None:
        """Invalidate everything of every tenant, on all levels, in one step.

        Raises NotSupported under ``read_only`` and AuditUnavailable, when nothing was done; TierUnavailable when it could
        not be done.
        """
        if self.config.read_only:
            raise NotSupported("this cache is configured read_only; use a manager without read_only=True to clear it")
        gate = self.state.gate
        gate.admit("clear_all", tenant="", namespace="")
        try:
            if self.directory is None:
                self.stamps.touch_all()
            else:
                self.stamps.void(self.stamps.current(), "clear_all")
        except BaseException:
            gate.failed("clear_all", tenant="", namespace="")
            raise
        finally:
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
        """Stop the upkeep, close the connections, empty L1, write out the audit log. Safe to call twice."""
        if self._is_closed:
            return
        self._is_closed = True
        for scope in list(self.state.scopes.values()):
            # Whoever comes now has to bind its keys first, which asks ``ensure_upkeep``.
            scope.keys_until = 0.0
            scope.plain = None
        self.hooks.emit(Stopped(fingerprint(self.config)))
        self._opened.close()
        self.state.drop_all()


def _memory(config: CacheConfig) -> MemoryTier | None:
    l1 = config.l1
    return MemoryTier(max_entries=l1.max_entries, max_bytes=l1.max_bytes, policy=l1.policy) if l1.enabled else None


def _codec(config: CacheConfig) -> Codec:
    mode = config.crypto.pickle
    return Codec(
        compression=config.compression,
        max_value_bytes=config.max_value_bytes,
        serializer=config.serializer,
        pickle=None if mode == "off" else PickleSerializer(mode, config.crypto.pickle_allow),
    )


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
