"""Everything that is settled once for a tenant and namespace, and the state that all scopes of a process share."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol
from weakref import WeakSet

from caching_core.codec import Channel, Codec, Current, Packed, SerializerId, isolate
from caching_core.coherence import Cells, Extra, LedgerCopy, Stamps
from caching_core.config import PolicyBook
from caching_core.crypto import KeyRing
from caching_core.engine._counts import Counts
from caching_core.engine._flight import Flights
from caching_core.engine._gate import AuditGate
from caching_core.engine._leases import LeftLeases
from caching_core.engine._refusals import Refusals
from caching_core.engine._strategy import Strategies
from caching_core.engine._timing import Timings
from caching_core.engine._ttl_model import TTLModel
from caching_core.errors import QuotaExceeded
from caching_core.events import Hooks
from caching_core.runtime import Mutex
from caching_core.tenancy import NameScheme
from caching_core.tiers.memory import Entry, MemoryTier, Partition

FOREVER: Final = float("inf")
COLD: Final = float("nan")  # in place of a lane's number: no number equals it, so the slot's first read looks twice
_MSGPACK: Final = int(SerializerId.MSGPACK)
MAX_SCOPES: Final = 20_000  # about 10 KiB each, for as long as the process lives


class ViewHolder(Protocol):
    """Somebody who keeps the stamp table's view, and the engine, by itself, for speed."""

    def bind_view(self, view: "memoryview[float]") -> None:
        """Take the view that is current now."""
        ...

    def go_on(self) -> None:
        """Go on with the engine's successor."""
        ...


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Settings that the verbs read: seconds and bytes."""

    default_ttl: float | None = 300.0
    strategy: str | None = None
    strict: bool = False
    read_only: bool = False
    disabled: bool = False
    is_cut_off: bool = False  # disabled, and the store that others share could not be opened
    is_plain: bool = False  # there is a store, and nothing seals what goes there
    hashed_names: bool = False
    lease_seconds: float = 31.0
    # How long a copy may be served after the shared store was asked: what other hosts invalidate there is not heard of.
    copy_seconds: float = float("inf")
    store_place: str = "on disk"  # where the store keeps things, in words
    leaves_pending: bool = False  # an invalidation that the store did not hear is reported as pending, and raises under ``strict``
    max_value_bytes: int = 16 * 1024 * 1024


class Scope:
    """One tenant and namespace as the engine sees it. Shared by all handles on it; thread-safe by replacement."""

    __slots__ = ("cells", "channel", "counts", "entries", "keys_until", "missed", "names", "namespace", "partition", "plain", "tenant")

    def __init__(self, tenant: str, namespace: str, *, cells: Cells, partition: Partition | None) -> None:
        self.tenant = tenant
        self.namespace = namespace
        self.cells = cells
        self.partition = partition
        # Without L1 this stays empty: the handle's lookup misses and the engine is asked.
        self.entries: dict[str, Entry] = partition.entries if partition is not None else {}
        self.counts = Counts()
        self.channel: Channel | None = None
        self.names: NameScheme | None = None
        self.keys_until = 0.0
        self.missed: tuple[str, Entry] | None = None  # the key that ``get`` missed last, and its capture: a set may be its refill
        # The guard under which the ledger was read, what an untagged entry must be of, the copy that says so, and until when.
        self.plain: tuple[tuple[float, float], Current, LedgerCopy, float] | None = None


class EngineState:
    """What the blocking and the loop engine of one process share: plain, synchronous, thread-safe."""

    __slots__ = (
        "_mutex",
        "alone",
        "awake",
        "blocks_writes",
        "codec",
        "default_writing",
        "flights",
        "gate",
        "handles",
        "has_rules",
        "hooks",
        "hurry",
        "known_options",
        "ledgers",
        "left_leases",
        "memory",
        "now",
        "options",
        "policies",
        "refusals",
        "ring",
        "scopes",
        "stamps",
        "strategies",
        "timings",
        "ttl_model",
        "usual_writings",
        "version_no",
    )  # fmt: skip

    def __init__(
        self,
        *,
        options: EngineOptions,
        stamps: Stamps,
        memory: MemoryTier | None,
        codec: Codec,
        ring: KeyRing | None,
        hooks: Hooks,
        policies: PolicyBook,
        awake: Callable[[], None],
        gate: AuditGate,
        now: Callable[[], float] = time.monotonic,
        version_no: Callable[[], int] | None = None,
    ) -> None:
        self.options, self.stamps = options, stamps
        self.version_no = stamps.version_no if version_no is None else version_no  # of the store's clock, or the host's
        self.memory, self.codec = memory, codec
        self.ring = ring
        self.hooks = hooks
        self.refusals, self.policies = Refusals(hooks, now), policies
        self.gate = gate
        # The first starts the process's background work, if it does not run; the second lets its next turn come now.
        self.awake, self.hurry = awake, _wait
        self.strategies = Strategies()
        self.ttl_model: TTLModel | None = None  # has a say where nobody gave a lifetime
        self.now = now
        self.flights, self.timings, self.left_leases = Flights(), Timings(), LeftLeases(options.lease_seconds)
        self.ledgers: dict[str, LedgerCopy] = {}
        self.scopes: dict[tuple[str, str], Scope] = {}
        self.blocks_writes = options.disabled or options.read_only
        # Whether a policy or a strategy may have a say in a write; the writings of those that none has, by ttl, and without one.
        self.has_rules = bool(policies) or options.strategy is not None
        self.usual_writings: dict[object, Any] = {}  # Any: Writing, of a module above this one
        self.default_writing: Any = None
        self.known_options: set[tuple[object, ...]] = set()  # of reads that load on a miss: those that passed a check
        self.handles: WeakSet[ViewHolder] = WeakSet()
        # ``alone`` is held, without an await inside, where memory is the only store and a verb reads before it writes.
        self.alone, self._mutex = Mutex(), Mutex()

    def scope(self, tenant: str, namespace: str) -> Scope:
        """Return the scope of a tenant and namespace; the same object each time. Raises QuotaExceeded beyond 20,000 of them."""
        scope = self.scopes.get((tenant, namespace))
        if scope is None:
            with self._mutex:
                scope = self.scopes.get((tenant, namespace))
                if scope is None:
                    if len(self.scopes) >= MAX_SCOPES:
                        raise QuotaExceeded(
                            f"this process has met {MAX_SCOPES} pairs of tenant and namespace and takes no more: {namespace!a} of "
                            f"{tenant!a} is refused; namespaces are parts of a program, put what comes from input into the key"
                        )
                    partition = self.memory.partition(tenant, namespace) if self.memory is not None else None
                    scope = Scope(tenant, namespace, cells=self.stamps.cells(tenant, namespace), partition=partition)
                    self.scopes[tenant, namespace] = scope
        return scope

    async def bind_keys(self, scope: Scope) -> Channel:
        """Give the scope its channel and names, under keys that are good for a while. Raises KeyUnavailable.

        Every scope comes here before its first use of the store, and again in a forked child.
        """
        self.awake()
        if self.ring is None:
            channel = Channel(scope.tenant, scope.namespace, None, self.codec)
            scope.names = NameScheme(scope.tenant, scope.namespace, b"", hashed=self.options.hashed_names)
            until = FOREVER
        else:
            keys = await self.ring.tenant(scope.tenant)
            channel = Channel(scope.tenant, scope.namespace, keys, self.codec)
            scope.names = NameScheme(scope.tenant, scope.namespace, keys.name_key, hashed=self.options.hashed_names)
            until = keys.expires_at
        scope.channel = channel
        scope.keys_until = until
        return channel

    def capture(self, scope: Scope, key: str) -> Entry:
        """Start a slot for a value that is yet to be read from a store, with the time up to which it may be served at most."""
        until = self.now() + self.options.copy_seconds  # first: what is read is as old as the moment before it was asked for
        entry = self.stamps.capture(scope.cells, key)
        entry.until = until
        return entry

    def recheck(self, scope: Scope, key: str, entry: Entry) -> bool:
        """Tell whether a slot whose lane moved, or whose time is up, is good after all; renews its lane mark."""
        if entry.until <= self.now():
            return False
        is_cold = entry.seen is COLD
        # A purge may have come between the lookup and here: then the slot is no longer the one that stands.
        if not self.stamps.holds(scope.cells, key, entry) or scope.entries.get(key) is not entry:
            return False
        if is_cold:
            self._warm(scope, key, entry)
        return True

    def _warm(self, scope: Scope, key: str, entry: Entry) -> None:
        """Keep a value that is read again as the store's bytes in the form that is quickest to give out."""
        if scope.partition is None or self.memory is None or entry.thaw is None:
            return
        payload = Packed(_MSGPACK, entry.value)
        value, thaw, size = isolate(entry.thaw(entry.value), payload, self.codec)
        if value is entry.value:
            entry.thaw = thaw
            return
        warm = Entry()
        warm.value, warm.thaw, warm.size = value, thaw, size
        warm.lane, warm.seen, warm.guard, warm.mark = entry.lane, entry.seen, entry.guard, entry.mark
        warm.version, warm.until, warm.extra = entry.version, entry.until, entry.extra
        if self.memory.put(scope.partition, key, warm):
            warm.n += 1  # the read that is under way is counted on the slot that it found

    def bind_tags(self, scope: Scope, entry: Entry, tags: tuple[str, ...]) -> None:
        """Capture the cells of ``tags`` into a slot, in place of any others; its lane mark stays what it was."""
        if not tags:
            if entry.extra is not None:
                entry.mark, entry.extra = entry.mark[0], None
            return
        cells = tuple(scope.cells.tag(tag) for tag in tags)
        view = self.stamps.view
        own = entry.mark if entry.extra is None else entry.mark[0]
        entry.mark = (own, *(view[cell] for cell in cells))
        entry.extra = Extra(tags, tag_cells=cells, hard=FOREVER)

    def place(self, scope: Scope, key: str, entry: Entry) -> bool:
        """Put a finished slot in L1, unless a newer version stands there; as ``put``."""
        standing = scope.entries.get(key)
        if standing is not None and standing.version > entry.version:
            return False
        return self.put(scope, key, entry)

    def put(self, scope: Scope, key: str, entry: Entry) -> bool:
        """Put a finished slot in L1 iff nothing that concerns it was invalidated since its capture."""
        partition, memory = scope.partition, self.memory
        if partition is None or memory is None:
            return False
        stamps = self.stamps
        if stamps.view[entry.lane] != entry.seen and not stamps.holds(scope.cells, key, entry):
            return False
        try:
            return memory.put(partition, key, entry)
        except MemoryError:
            memory.shrink(0.2)
            return False

    def leave_lease(self, name: str, token: bytes) -> None:
        """Let the upkeep give back a lease that may have been granted."""
        if self.left_leases.leave(name, token, self.now()):
            self.hurry()

    def drop_all(self) -> None:
        """Forget every copy of this process: L1 and the ledger copies."""
        if self.memory is not None:
            self.memory.clear()
        self.ledgers.clear()

    def bind_views(self) -> None:
        """Let every handle take the stamp table that is current now."""
        for handle in self._each_handle():
            handle.bind_view(self.stamps.view)

    def hand_over(self) -> None:
        """Let every handle go on with the successor of its engine."""
        for handle in self._each_handle():
            handle.go_on()

    def _each_handle(self) -> list[ViewHolder]:
        while True:
            try:
                return list(self.handles)
            except RuntimeError:  # another thread bound one while this one looked through them
                continue

    def after_fork(self) -> None:
        """Make the child's own locks and numbers; L1 and the stamp table are kept."""
        self._mutex = Mutex()
        self.alone = Mutex()
        self.flights.after_fork()
        self.left_leases.after_fork()
        self.stamps.after_fork()
        if self.ttl_model is not None:
            self.ttl_model.after_fork()
        for scope in list(self.scopes.values()):
            scope.keys_until = 0.0


def _wait() -> None:
    """Hurry nobody: there is no background work."""
