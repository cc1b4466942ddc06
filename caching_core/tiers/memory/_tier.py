"""The memory tier: entries of all partitions under one bound of entries and bytes."""

import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final, TypeVar

from caching_core.errors import ConfigInvalid
from caching_core.tiers.memory._audit import expect_at_most, expect_same
from caching_core.tiers.memory._entry import Entry, Partition
from caching_core.tiers.memory._lru import Lru
from caching_core.tiers.memory._policy import Policy
from caching_core.tiers.memory._s3fifo import S3Fifo
from caching_core.tiers.memory._usage import MemoryUsage, TenantUsage, by_tenant

POLICIES: Final = ("s3fifo", "lru", "lfu", "wtinylfu", "adaptive")
_SIZES_SHARED: Final = 1024
_FORK_PATIENCE: Final = 1.0
_Given = TypeVar("_Given")


class MemoryTier:
    """L1 of one process, shared by its threads.

    Readers take entries from ``partition.entries`` without a lock. Writers hold one lock; they make room
    first and insert then, so that no thread ever sees more than fits. An operation that starts inside
    another one of the same thread (a finaliser run by the collector) does nothing and says so.
    """

    __slots__ = (
        "__weakref__",
        "_busy",
        "_bytes",
        "_entries",
        "_evicted",
        "_expired",
        "_fork_holder",
        "_lock",
        "_now",
        "_partitions",
        "_policy",
        "_sizes",
        "max_bytes",
        "max_entries",
        "policy",
    )

    def __init__(self, *, max_entries: int, max_bytes: int, policy: str = "s3fifo", now: Callable[[], float] = time.monotonic) -> None:
        """Make an empty tier; ``now`` is the clock of ``Entry.until``."""
        if policy not in POLICIES:
            raise ConfigInvalid(f"l1 policy {policy!r} is unknown; take one of {', '.join(POLICIES)}")
        _check_bounds(max_entries, max_bytes)
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.policy = policy
        self._now = now
        self._lock = threading.RLock()
        self._busy = False  # an operation of the lock's holder is under way
        self._fork_holder = 0  # the thread that holds the lock across a fork
        self._partitions: dict[tuple[str, str], Partition] = {}
        self._entries = self._bytes = self._evicted = self._expired = 0
        self._sizes: dict[int, int] = {}  # one int object per size: 28 bytes less per entry
        self._policy: Policy = Lru(_weakly(self._flush)) if policy == "lru" else S3Fifo(max_entries, max_bytes)
        os.register_at_fork(
            before=_weakly(self._before_fork), after_in_parent=_weakly(self._after_fork), after_in_child=_weakly(self._after_fork_in_child)
        )

    @property
    def running(self) -> str:
        """The policy that decides, whatever was asked for."""
        return self._policy.name

    @property
    def policy_note(self) -> str:
        """What runs in place of the policy that was asked for; empty when they are the same."""
        if self.policy == self.running:
            return ""
        return f"l1 policy {self.policy!r} is not built in this release: {self.running} decides"

    def partition(self, tenant: str, namespace: str) -> Partition:
        """Return the partition of a tenant's namespace, the same object each time."""
        try:
            return self._partitions[tenant, namespace]
        except KeyError:
            return self._partitions.setdefault((tenant, namespace), self._policy.make_partition(tenant, namespace))

    def put(self, partition: Partition, key: str, entry: Entry) -> bool:
        """Store an entry; False if it is larger than L1, and then no older one of that key is left.

        An entry that overwrites another keeps its place and its count of reads.
        """
        lock = self._lock
        lock.acquire()
        if self._busy:
            lock.release()
            return False
        self._busy = True
        gone: object = None  # what leaves is freed after the lock: a finaliser may take its time, or call us
        try:
            size, entries, policy = entry.size, partition.entries, self._policy
            # What nearly always happens on the way up from the store, in few steps: a key that is not there, and room for it.
            if key not in entries and self._entries < self.max_entries and self._bytes + policy.ghost_bytes + size <= self.max_bytes:
                size = entry.size = self._sizes.get(size) or self._shared_size(size)
                policy.admit(partition, key, entry, is_remembered=policy.ghost_bytes > 0 and policy.is_remembered(partition, key))
                self._entries += 1
                self._bytes += size
                partition.bytes += size
                entries[key] = entry
                return True
            if size > self.max_bytes:
                gone = self._discard(partition, key)
                return False
            gone = self._store(partition, key, entry)
        except BaseException:
            self._repair()
            raise
        finally:
            self._busy = False
            lock.release()
        del gone
        return True

    def discard(self, partition: Partition, key: str, entry: Entry | None = None) -> bool:
        """Remove a key, with ``entry`` only if that very entry stands there; return whether it did."""
        lock = self._lock
        lock.acquire()
        if self._busy:
            lock.release()
            return False
        self._busy = True
        gone = None
        try:
            if entry is None or partition.entries.get(key) is entry:
                gone = self._discard(partition, key)
        except BaseException:
            self._repair()
            raise
        finally:
            self._busy = False
            lock.release()
        return gone is not None

    def clear(self, partition: Partition | None = None) -> None:
        """Remove the entries of one partition, or of all and what the policy remembers."""
        self._run(self._clear, partition)

    def shrink(self, fraction: float) -> int:
        """Give up this share of entries and of bytes, as after a MemoryError; return how many entries went."""
        if not 0 <= fraction <= 1:
            raise ValueError(f"shrink takes a fraction from 0 to 1, not {fraction!r}")
        return len(self._run(self._shrink, 1 - fraction) or ())

    def resize(self, max_entries: int, max_bytes: int) -> None:
        """Take new bounds, evicting what no longer fits."""
        _check_bounds(max_entries, max_bytes)
        self._run(self._resize, (max_entries, max_bytes))

    def usage(self) -> MemoryUsage:
        """Return a consistent look at the counts."""
        with self._lock:
            return MemoryUsage(
                entries=self._entries,
                bytes=self._bytes,
                evicted=self._evicted,
                max_entries=self.max_entries,
                max_bytes=self.max_bytes,
                policy=self.policy,
                running=self._policy.name,
                expired=self._expired,
                ghosts=self._policy.ghosts,
                ghost_bytes=self._policy.ghost_bytes,
            )

    def tenant_usage(self, tenant: str) -> TenantUsage:
        """Return a tenant's counts over its namespaces; summing the reads walks its entries."""
        with self._lock:
            own = [partition for partition in list(self._partitions.values()) if partition.tenant == tenant]
            return by_tenant(own).get(tenant, TenantUsage(0, 0, 0, 0))

    def usage_by_tenant(self) -> dict[str, TenantUsage]:
        """Return the counts of every tenant that has been here; walks all entries (2 ms for 10^5)."""
        with self._lock:
            return by_tenant(list(self._partitions.values()))

    def hits(self) -> int:
        """Return all reads so far; walks all entries (2 ms for 10^5).

        A read that races with the eviction of its very entry may be missed; none is counted twice.
        """
        with self._lock:
            return sum(partition.fold() for partition in list(self._partitions.values()))

    def check_invariants(self) -> None:
        """Recount everything; AssertionError when a count or a bound does not hold."""
        with self._lock:
            self._policy.settle()
            partitions = list(self._partitions.values())
            for partition in partitions:
                expect_same("bytes of a partition", partition.bytes, sum(entry.size for entry in partition.entries.values()))
            expect_same("entries", self._entries, sum(len(partition.entries) for partition in partitions))
            expect_same("bytes", self._bytes, sum(partition.bytes for partition in partitions))
            expect_at_most("entries", self._entries, self.max_entries)
            expect_at_most("bytes", self._bytes + self._policy.ghost_bytes, self.max_bytes)
            self._policy.check(partitions)

    def _store(self, partition: Partition, key: str, entry: Entry) -> object:
        size = entry.size = self._shared_size(entry.size)
        policy, entries = self._policy, partition.entries
        old = entries.get(key)
        gone: object = old
        is_remembered = old is None and policy.is_remembered(partition, key)
        if not self._fits(old, size):
            gone = self._make_room(entries, key, size), old
            old = entries.get(key)
        if old is None:
            policy.admit(partition, key, entry, is_remembered=is_remembered)
            self._entries += 1
        else:
            policy.replace(partition, key, old, entry)
            size -= old.size
        self._bytes += size
        partition.bytes += size
        entries[key] = entry
        return gone

    def _shared_size(self, size: int) -> int:
        sizes = self._sizes
        shared = sizes.get(size)
        if shared is None:
            shared = max(size, 0)
            if len(sizes) < _SIZES_SHARED:
                sizes[shared] = shared
        return shared

    def _fits(self, old: Entry | None, size: int) -> bool:
        if old is None:
            return self._entries < self.max_entries and self._bytes + self._policy.ghost_bytes + size <= self.max_bytes
        return self._bytes + self._policy.ghost_bytes + size - old.size <= self.max_bytes

    def _make_room(self, entries: dict[str, Entry], key: str, size: int) -> list[Entry]:
        gone: list[Entry] = []
        now = self._now()
        # The entry that is to be overwritten may be the one to go, hence the look in each round.
        while not self._fits(entries.get(key), size):
            if not self._evict(now, gone):
                break
        return gone

    def _evict(self, now: float, gone: list[Entry]) -> bool:
        victim = self._policy.evict(now)
        if victim is None:
            self._policy.drop_ghosts()
            return False
        partition, key, entry, is_expired = victim
        del partition.entries[key]
        self._left(partition, entry)
        if is_expired:
            self._expired += 1
        else:
            self._evicted += 1
            partition.evicted += 1
        gone.append(entry)
        return True

    def _left(self, partition: Partition, entry: Entry) -> None:
        partition.bytes -= entry.size
        partition.folded += entry.n
        self._bytes -= entry.size
        self._entries -= 1

    def _discard(self, partition: Partition, key: str) -> Entry | None:
        entry = partition.entries.pop(key, None)
        if entry is not None:
            self._left(partition, entry)
            self._policy.remove(partition, key, entry)
        return entry

    def _clear(self, only: Partition | None) -> list[Entry]:
        if only is None:
            return self._drop_all()
        gone = list(only.entries.values())
        only.entries.clear()
        for entry in gone:
            self._left(only, entry)
        self._policy.remove_all(only, gone)
        return gone

    def _drop_all(self) -> list[Entry]:
        gone: list[Entry] = []
        for partition in list(self._partitions.values()):
            gone += partition.entries.values()
            partition.folded = partition.fold()
            partition.entries.clear()
            partition.renew_seat()
            partition.bytes = 0
        self._entries = self._bytes = 0  # set, not counted down: also the last resort of a repair
        self._policy.reset()
        return gone

    def _shrink(self, keep: float) -> list[Entry]:
        gone: list[Entry] = []
        now = self._now()
        max_entries, max_bytes = int(self._entries * keep), int(self._bytes * keep)
        while (self._entries > max_entries or self._bytes > max_bytes) and self._evict(now, gone):
            pass
        self._policy.drop_ghosts()
        return gone

    def _resize(self, bounds: tuple[int, int]) -> list[Entry]:
        self.max_entries, self.max_bytes = bounds
        self._policy.limit(*bounds)
        return self._evict_surplus()

    def _evict_surplus(self) -> list[Entry]:
        gone: list[Entry] = []
        while self._entries > self.max_entries or self._bytes + self._policy.ghost_bytes > self.max_bytes:
            if not self._evict(self._now(), gone):
                break
        return gone

    def _run(self, step: Callable[[_Given], list[Entry]], given: _Given) -> list[Entry] | None:
        lock = self._lock
        lock.acquire()
        if self._busy:
            lock.release()
            return None
        self._busy = True
        try:
            return step(given)
        except BaseException:
            self._repair()
            raise
        finally:
            self._busy = False
            lock.release()

    def _repair(self) -> None:
        """Count again after an operation that broke off (MemoryError, KeyboardInterrupt), or drop all."""
        try:
            partitions = list(self._partitions.values())
            for partition in partitions:
                partition.bytes = sum(entry.size for entry in list(partition.entries.values()))
            self._entries = sum(len(partition.entries) for partition in partitions)
            self._bytes = sum(partition.bytes for partition in partitions)
            self._policy.rebuild(partitions)
            self._evict_surplus()
        except BaseException:
            self._drop_all()
            raise

    def _flush(self) -> None:
        if not self._lock.acquire(blocking=False):
            return
        try:
            if not self._busy:
                self._policy.settle()
        finally:
            self._lock.release()

    def _before_fork(self) -> None:
        # Held across the fork, so that the child does not inherit a half-done change of another thread.
        if self._lock.acquire(timeout=_FORK_PATIENCE):
            self._fork_holder = threading.get_ident()

    def _after_fork(self) -> None:
        if self._fork_holder == threading.get_ident():
            self._fork_holder = 0
            self._lock.release()

    def _after_fork_in_child(self) -> None:
        is_whole = self._fork_holder == threading.get_ident()
        self._fork_holder = 0
        self._lock = threading.RLock()
        if not is_whole:
            self._busy = False
            self._repair()


def _check_bounds(max_entries: int, max_bytes: int) -> None:
    for name, bound in (("max_entries", max_entries), ("max_bytes", max_bytes)):
        if bound < 1:
            raise ConfigInvalid(f"l1 {name} is {bound}; give at least 1, or switch L1 off")


def _weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Make a call that does not keep the method's object alive, and does nothing once it is gone."""
    weak = weakref.WeakMethod(method)

    def call() -> None:
        bound = weak()
        if bound is not None:
            bound()

    return call
