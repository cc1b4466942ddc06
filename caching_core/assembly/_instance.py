"""One opened cache of this process: everything that equal configurations share, wired from its parts."""

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from caching_core.assembly._cells import stamps_while_away
from caching_core.assembly._clear import clear_all
from caching_core.assembly._figures import health_of, stats_of, usage_of
from caching_core.assembly._from_config import codec_of, is_remote, memory_of, options_of, server_of
from caching_core.assembly._gate import LogGate, listen
from caching_core.assembly._keys import bury_destroyed
from caching_core.assembly._late_store import LateStore, store_that_is_away
from caching_core.assembly._note import note
from caching_core.assembly._place import Place, is_full, open_place
from caching_core.assembly._reach import Reach
from caching_core.assembly._unbuilt import refuse_what_is_not_built, without_effect
from caching_core.audit import AuditLog
from caching_core.coherence import Stamps, TableForeign
from caching_core.config import CacheConfig, LearningConfig, PolicyBook, fingerprint
from caching_core.crypto import FLEET, derive
from caching_core.engine import EngineState, MultiLevelCache, OpenGate
from caching_core.errors import AuditUnavailable, CacheError, ConfigInvalid, NotSupported, TierUnavailable
from caching_core.events import ConfigNote, Event, Hooks, Started, Stopped, TierLost, TierOpened, UpkeepFailed
from caching_core.insight import CacheStats, Health, Metrics, MetricsPort
from caching_core.learning import AdaptiveTTL
from caching_core.runtime import BlockingRuntime, LoopRuntime, PeriodicWorker, Runtime, run_sync
from caching_core.tiers import Store
from caching_core.tiers.disk import DiskStore
from caching_core.types import CacheLevel

if TYPE_CHECKING:
    from caching_core.assembly._server import Server

UPKEEP_SECONDS: Final = 1.0


class Instance:
    """The engines of both worlds over one state, with the store, keys, audit log and upkeep they need.

    Made by ``acquire`` and shared through the process registry; closed once, and of no use after that: what still holds a
    part of it is told so (CacheError), finds nothing in L1, and starts nothing again.

    **Lost.** Where others began the directory anew under keys that this process does not have, nothing that it holds may be
    trusted: reads miss, and what must not be lost raises TierUnavailable, until ``renew`` has put another instance in its
    place, which is tried at each turn of the upkeep. Handles then go on with that one, ``successor``. One that was made
    ``away``, because a cache could not be opened, is lost from the start and in the same way.
    """

    def __init__(
        self,
        config: CacheConfig,
        *,
        environ: Mapping[str, str] | None = None,
        renew: Callable[["Instance"], None] | None = None,
        after: "Instance | None" = None,
        away: CacheError | None = None,
    ) -> None:
        """Open it, ``after`` one that is lost: what was registered there is taken over. With ``away`` open nothing.

        Raises ConfigInvalid, KeyUnavailable, TierUnavailable; a call after these tries again.
        A directory that this user cannot have at all means memory only, said once.
        """
        refuse_what_is_not_built(config)
        self.config = config
        self.hooks = Hooks()
        self.hooks.subscribe(note)
        self.hooks.subscribe(self._keep_reason)
        self._why_lost = ""
        self.successor: Instance | None = None
        self._renew, self.ahead = renew, Reach(config)
        self._lost = self._told = None if away is None else str(away)  # why, and why not renewed, as last said
        self._is_away, self._is_open, self._is_closed = away is not None and self._is_remote, False, False
        self._upkeep: PeriodicWorker | None = None
        with ExitStack() as opened:
            self._server = self._make_server(after, opened)
            place = self._open_place(os.environ if environ is None else environ, after)
            opened.callback(place.close)
            self.directory, self.stamps, self.ring = place.directory, place.stamps, place.ring
            self.audit = self._open_audit(place, opened)
            # A server is away for a while: until then this process's memory is what is left. Of a host's disk others may know more.
            self.memory = memory_of(config) if self._lost is None or self._is_remote else None
            self.state = self._make_state(after)
            self.blocking_runtime, self.loop_runtime = BlockingRuntime(), LoopRuntime()
            self.blocking = self._engine(self.blocking_runtime, opened)
            self.loop = self._engine(self.loop_runtime, opened)
            self._metrics = self._make_metrics()
            opened.callback(self.loop_runtime.close)
            opened.callback(self.blocking_runtime.close)
            self._port = self._make_port(opened)
            self._upkeep = self._make_upkeep(opened)
            self._opened = opened.pop_all()
            self._is_open = True
        self._say_that_it_is_open(after)

    # -- making --------------------------------------------------------------------------------

    @property
    def _is_remote(self) -> bool:
        return is_remote(self.config)

    @property
    def _tier(self) -> str:
        return "redis" if self._is_remote else "disk"

    def _make_server(self, after: "Instance | None", opened: ExitStack) -> "Server | None":
        if self._lost is not None or not self._is_remote:
            return None
        server = server_of(self.config) if after is None else after.ahead.take()
        server.on_change = self._hear_of_server
        opened.callback(server.close)
        return server

    def _hear_of_server(self, reason: str | None) -> None:
        if self._is_open and not self._is_closed:  # before that, opening raises, and who opens says so
            self.hooks.emit(TierOpened("redis") if reason is None else TierLost("redis", reason))

    def _open_place(self, environ: Mapping[str, str], after: "Instance | None") -> Place:
        if self._lost is not None:
            return Place(
                stamps_while_away(self.config, environ=environ, on_replaced=self._drop_all, on_given_up=self._look_at_once)
                if self._is_remote
                else Stamps(None, secret=b"", abandoned=self._lost)
            )
        replaces = after is None or after.directory is None  # who had it open before must not take it from its successors
        if self._server is None:
            return open_place(
                self.config, self.hooks, environ=environ, replaces=replaces, on_replaced=self._drop_all, on_given_up=self._look_at_once
            )
        from caching_core.assembly._shared_place import open_shared_place

        place = open_shared_place(
            self.config,
            self.hooks,
            self._server,
            environ=environ,
            replaces=replaces,
            on_replaced=self._drop_all,
            on_given_up=self._look_at_once,
        )
        if place.is_cut_off:
            self._server.close()
            self._server = None
        return place

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

    def _make_state(self, after: "Instance | None") -> EngineState:
        config = self.config
        state = EngineState(
            options=options_of(
                config,
                has_store=self.directory is not None or self._server is not None,
                is_remote=self._is_remote,
                is_alone=self._lost is not None and not self.stamps.is_of_host,
            ),
            stamps=self.stamps,
            memory=self.memory,
            codec=codec_of(config) if after is None else after.state.codec,
            ring=self.ring,
            hooks=self.hooks,
            policies=PolicyBook(config.policies),
            awake=self.ensure_upkeep,
            gate=OpenGate() if self.audit is None else LogGate(self.audit),
            version_no=None if self._server is None else self._server.blocking.clock.version_no,
        )
        state.hurry = self._look_at_once
        state.ttl_model = model = AdaptiveTTL.of(config)
        if after is not None:
            state.strategies, state.ttl_model = after.state.strategies, after.state.ttl_model or model
        state.has_rules |= state.ttl_model.acts  # then no write is settled before it is asked
        return state

    def _make_metrics(self) -> Metrics | None:
        if not self.config.monitoring.enabled:
            return None
        level = None if self.blocking.store is None else CacheLevel.L2
        return Metrics(self.state, store_level=level, prefix=self.config.metrics_namespace)

    def _engine(self, runtime: Runtime, opened: ExitStack) -> MultiLevelCache:
        store = self._store(runtime)
        if store is not None:
            opened.callback(store.close)
        return MultiLevelCache(self.state, store, runtime)

    def _store(self, runtime: Runtime) -> Store | None:
        if self._lost is not None:
            return store_that_is_away(self._lost, self.stamps)
        if self._server is not None:
            return self._server.blocking if runtime.blocks else self._server.loop
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
            if not is_full(error) and not self.config.disabled:
                raise
            # Stamps stand there, so others may share this directory now or later: they have to be obeyed.
            return LateStore(make, stamps=self.stamps, on_event=self.hooks.emit, error=error)

    def _make_port(self, opened: ExitStack) -> MetricsPort | None:
        monitoring = self.config.monitoring
        if not monitoring.enabled or monitoring.metrics_port is None:
            return None
        port = MetricsPort(monitoring.metrics_port, self.metrics_text)
        opened.callback(port.stop)
        return port

    def _make_upkeep(self, opened: ExitStack) -> PeriodicWorker | None:
        if self.directory is None and self._server is None and self._lost is None and self._port is None:
            return None
        upkeep = PeriodicWorker(UPKEEP_SECONDS, self._keep_up, name="caching-upkeep")
        opened.callback(upkeep.stop)
        return upkeep

    def _say_that_it_is_open(self, after: "Instance | None") -> None:
        if self._lost is not None:
            self.hooks.emit(TierLost(self._tier, f"{self._lost}; trying again"))
            return
        if after is None or after.directory is None:
            self._say_what_is_idle()
        self.hooks.emit(Started(fingerprint(self.config)))
        if after is not None:
            self.hooks.emit(TierOpened(self._tier))

    def _say_what_is_idle(self) -> None:
        notes = (without_effect(self.config), "" if self.memory is None else self.memory.policy_note)
        message = "; ".join(filter(None, notes))
        if message:
            self.hooks.emit(ConfigNote(message))

    # -- work ----------------------------------------------------------------------------------

    @property
    def is_lost(self) -> bool:
        """Tell whether this one is of no use until it has been renewed."""
        return self._lost is not None

    def begin(self) -> None:
        """Start at once what else begins with the first use: the port for metrics."""
        if self._port is not None and self._upkeep is not None and not self._is_closed:
            self._upkeep.ensure()
            self._upkeep.poke()

    def ensure_upkeep(self) -> None:
        """Start the upkeep thread if it does not run: at the first use in this process, also after a fork.

        Raises TierUnavailable while this is lost, CacheError once it is closed.
        """
        if self._is_closed and self._lost is None:
            raise CacheError("this cache was closed; open a manager, and take a new handle with tenant(…)")
        if self._upkeep is not None and not self._is_closed:
            self._upkeep.ensure()
        self._refuse_if_lost()

    def _refuse_if_lost(self) -> None:
        if self._lost is not None:
            raise TierUnavailable(self._lost)

    def _look_at_once(self) -> None:
        if self._upkeep is not None:
            self._upkeep.poke()

    def _keep_up(self) -> None:
        if self._port is not None:
            self._port.ensure()
        if self._lost is None or self._is_away:
            try:
                self.stamps.check()
            except (TableForeign, ConfigInvalid) as error:
                self._lose(str(error))
            except TierUnavailable as error:
                self.hooks.emit(UpkeepFailed(str(error), self._tier))  # the next turn goes on with it
        if self._lost is not None:
            self._try_to_renew()
        elif self.blocking.store is not None:
            run_sync(self.blocking.store.maintain())
            run_sync(self.blocking.load.give_back_leases())

    def _lose(self, reason: str) -> None:
        """Trust nothing any more. The stamps first: from then on nothing can be put in L1, and there is no store."""
        self._lost, self._is_away = reason, False
        self.stamps.abandon(reason)
        for scope in list(self.state.scopes.values()):
            scope.keys_until = 0.0
            scope.plain = None
        self._drop_all()
        self.hooks.emit(TierLost(self._tier, f"{reason} (opening it anew)"))

    def _try_to_renew(self) -> None:
        try:
            if self._renew is not None:
                self._renew(self)
        except CacheError as error:
            if str(error) != self._told and not self._is_closed:
                self._told = str(error)
                self.hooks.emit(UpkeepFailed(self._told, self._tier))

    def hand_over(self, successor: "Instance") -> None:
        """Let all handles go on with another instance; this one is of no use any more and wants to be closed."""
        self.blocking.successor, self.loop.successor = successor.blocking, successor.loop  # before anybody is told
        self.successor = successor
        self.state.hand_over()

    def _drop_all(self) -> None:
        self.state.drop_all()
        self.state.bind_views()

    def let_models_act(self, learning: LearningConfig) -> None:
        """Let the model for lifetimes act from now on, whatever it was configured for."""
        if self.state.ttl_model is not None:
            self.state.ttl_model.act(learning.learning_rate)
            self.state.has_rules = True
        self.hooks.emit(ConfigNote("the model for lifetimes acts; there are no other models to optimise in this release"))

    async def clear_all(self, store: Store | None) -> None:
        """Invalidate everything of every tenant, on all levels, in one step; a server is asked as ``store`` sees it.

        Raises NotSupported under ``read_only`` and AuditUnavailable, when nothing was done; TierUnavailable when it could
        not be done.
        """
        if self.config.read_only:
            raise NotSupported("this cache is configured read_only; use a manager without read_only=True to clear it")
        self._refuse_if_lost()
        server = self._server
        forget = None if server is None else (server.blocking if store is server.blocking else server.loop).forget_ledgers
        await clear_all(self.state, forget, has_directory=self.directory is not None)

    async def stats(self, store: Store | None) -> CacheStats:
        """Return the figures of this process, and of the store as ``store`` sees it."""
        return await stats_of(self.state, store)

    def metrics_text(self) -> str:
        """Return a scrape of this process; a comment where monitoring is off. Asks the store, which may block."""
        if self._metrics is None:
            return "# monitoring_enabled is false: no metrics\n"
        return self._metrics.text(run_sync(usage_of(self.blocking.store)))

    async def health(self, store: Store | None) -> Health:
        """Return whether each level answers; the store is asked as ``store`` sees it."""
        if self._lost is not None and self._upkeep is not None:
            self._upkeep.ensure()  # who only looks, and never reads, wants to see it come back as well
        has_memory, reason = self.memory is not None, self._lost or self._why_lost
        return await health_of(self.config, store, tier=self._tier, has_memory=has_memory, is_lost=self.is_lost, reason=reason)

    def _keep_reason(self, event: Event) -> None:
        if isinstance(event, TierLost):
            self._why_lost = event.reason

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
        self.ahead.close()
        self._opened.close()
        self.state.drop_all()
