"""LRU, true to the order of reads, though a hit only looks a key up and counts.

The partition's dict is a subclass whose ``[key]`` also notes the key in a log, so the handle's text is the
same as under S3-FIFO and only this policy pays for it (0.8 us per hit). The log is worked off under
the lock before anything is queued or evicted, and by a reader when it is long and the lock is free. Each use
appends a position to the queue; ``entry.where`` counts an entry's positions and only the last one counts.
With several threads a use is noted when it is logged; beyond ``_LOG_MAX`` the oldest notes are lost.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from caching_core.tiers.memory._audit import expect_same
from caching_core.tiers.memory._entry import Entry, Partition, Seat
from caching_core.tiers.memory._fifo import Fifo
from caching_core.tiers.memory._policy import Victim, is_expired

_LOG_LONG: Final = 512
_LOG_MAX: Final = 16 * _LOG_LONG

_Log = deque[tuple[str, Seat]]
# Our own look is no use of the entry, and super() costs 40 ns.
_look: Callable[[dict[str, Entry], str], Entry] = dict.__getitem__  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # unbound


class _NotingDict(dict[str, Entry]):
    """A dict that notes what is looked up by ``[key]``; ``get`` notes nothing."""

    __slots__ = ("flush", "log", "partition")

    log: _Log
    partition: Partition
    flush: Callable[[], None]

    def __getitem__(self, key: str) -> Entry:
        """Return the entry and note its use."""
        entry = _look(self, key)
        log = self.log
        log.append((key, self.partition.seat))
        if len(log) >= _LOG_LONG:
            self.flush()
        return entry


class Lru:
    """The least recently used goes first."""

    __slots__ = ("_flush", "_live", "_log", "_order", "ghost_bytes", "name")

    def __init__(self, flush: Callable[[], None]) -> None:
        """Make an empty order; ``flush`` asks the tier to call ``settle`` under its lock if that is free."""
        self.name = "lru"
        self.ghost_bytes = 0
        self._flush = flush
        self._order = Fifo()
        self._log: _Log = deque(maxlen=_LOG_MAX)
        self._live = 0

    def make_partition(self, tenant: str, namespace: str) -> Partition:
        """Make a partition whose dict notes reads."""
        partition = Partition(tenant, namespace)
        entries = _NotingDict()
        entries.log = self._log
        entries.partition = partition
        entries.flush = self._flush
        partition.entries = entries
        return partition

    def settle(self) -> None:
        """Queue the uses that were noted."""
        log = self._log
        while log:
            key, seat = log.popleft()
            entry = seat.partition.entries.get(key) if seat.partition is not None else None
            if entry is not None:
                entry.where += 1
                self._order.push(key, seat)
        self._compact()

    def is_remembered(self, partition: Partition, key: str) -> bool:  # noqa: ARG002 - the port's signature
        """Return False: no evicted key is remembered."""
        return False

    def admit(self, partition: Partition, key: str, entry: Entry, *, is_remembered: bool) -> None:  # noqa: ARG002 - the port's signature
        """Queue as the most recent."""
        if self._log:
            self.settle()
        entry.n = 0
        entry.where = 1
        self._order.push(key, partition.seat)
        self._live += 1

    def replace(self, partition: Partition, key: str, old: Entry, new: Entry) -> None:
        """Queue as the most recent; the reads go on counting."""
        if self._log:
            self.settle()
        new.where = old.where + 1
        new.n = old.n
        self._order.push(key, partition.seat)  # not compacted here: the dict still holds the old entry

    def evict(self, now: float) -> Victim | None:
        """Give up the least recently used."""
        if self._log:
            self.settle()
        while (found := self._order.pop()) is not None:
            key, partition = found
            entry = _look(partition.entries, key)
            if entry.where > 1:
                entry.where -= 1
                continue
            self._live -= 1
            return partition, key, entry, is_expired(entry, now)
        return None

    def remove(self, partition: Partition, key: str, entry: Entry) -> None:
        """Mark the entry's positions as stale."""
        self._order.forget(key, partition.seat, entry.where)
        self._live -= 1
        self._compact()

    def remove_all(self, partition: Partition, entries: Iterable[Entry]) -> None:
        """Take the entries off the count; their seat makes the positions stale."""
        self._live -= sum(1 for _ in entries)
        partition.renew_seat()
        self._compact()

    def reset(self) -> None:
        """Start as on the first day."""
        self.rebuild(())

    def _compact(self) -> None:
        order = self._order
        if not order.is_wasteful(self._live):
            return
        for key, partition in order.take_all():
            entry = _look(partition.entries, key)
            if entry.where > 1:
                entry.where -= 1
            else:
                order.push(key, partition.seat)

    def rebuild(self, partitions: Iterable[Partition]) -> None:
        """Queue everything again, in the order of the dicts."""
        self._order.clear()
        self._live = 0
        for partition in partitions:
            for key, entry in partition.entries.items():
                entry.where = 1
                self._order.push(key, partition.seat)
                self._live += 1

    def limit(self, max_entries: int, max_bytes: int) -> None:
        """Change nothing: the order is the same whatever fits."""

    def drop_ghosts(self) -> None:
        """Do nothing: no evicted key is remembered."""

    @property
    def ghosts(self) -> int:
        """How many evicted keys are remembered: none."""
        return 0

    def check(self, partitions: Iterable[Partition]) -> None:
        """Recount: as many positions per entry as it says, and no others."""
        positions = self._order.count()
        live = 0
        for partition in partitions:
            for key, entry in list(partition.entries.items()):
                live += 1
                expect_same("positions of an entry", entry.where, positions.pop((partition.seat, key), 0))
        expect_same("positions of no entry", 0, len(positions))
        expect_same("queued entries", self._live, live)
