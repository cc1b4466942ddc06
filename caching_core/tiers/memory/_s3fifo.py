"""S3-FIFO: a small queue for newcomers, a main queue with second chances, ghosts of what left the small one.

Yang et al., SOSP 2023, in the variant of libCacheSim: until the first eviction, newcomers go to the main
queue once the small one is full; two reads in the small queue lead to the main one, where frequency counts
up to three and each pass takes one away.

A hit only counts ``entry.n``, which never goes down. ``entry.where`` therefore holds, beside the queue in
bit 0, the count that the policy has consumed: frequency = n - (where >> 1).
"""

from collections.abc import Iterable
from typing import Final

from caching_core.tiers.memory._audit import expect_at_most, expect_same
from caching_core.tiers.memory._entry import Entry, Partition
from caching_core.tiers.memory._fifo import FIFO_SLACK, Fifo
from caching_core.tiers.memory._ghosts import GHOST_BYTES, Ghosts
from caching_core.tiers.memory._policy import Victim, is_expired

_IN_MAIN: Final = 1
_SMALL_SHARE: Final = 0.1
_GHOST_SHARE: Final = 0.9
_GHOST_MEMORY: Final = 8  # ghosts take at most 1/8 of the bytes
_READS_TO_STAY: Final = 2
_MAX_FREQUENCY: Final = 3
_PATIENCE: Final = 4096  # positions looked at per eviction: bounds the pause when everything is hot


class S3Fifo:
    """The default policy."""

    __slots__ = (
        "_ghost_limit",
        "_ghosts",
        "_has_evicted",
        "_main",
        "_main_bytes",
        "_main_bytes_max",
        "_main_max",
        "_main_n",
        "_patience",
        "_small",
        "_small_bytes",
        "_small_bytes_max",
        "_small_max",
        "_small_n",
        "ghost_bytes",
        "name",
    )

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        """Make empty queues for these bounds."""
        self.name = "s3fifo"
        self.ghost_bytes = 0
        self._ghosts = Ghosts()
        self._small = Fifo()
        self._main = Fifo()
        self._has_evicted = False
        self._patience = 0
        self._unqueue()
        self.limit(max_entries, max_bytes)

    def _unqueue(self) -> None:
        self._small.clear()
        self._main.clear()
        self._small_n = self._small_bytes = self._main_n = self._main_bytes = 0

    def reset(self) -> None:
        """Start as on the first day."""
        self._unqueue()
        self._has_evicted = False
        self.drop_ghosts()

    def make_partition(self, tenant: str, namespace: str) -> Partition:
        """Make a partition with a plain dict."""
        return Partition(tenant, namespace)

    def settle(self) -> None:
        """Nothing is logged: frequency is read off the entries."""

    def is_remembered(self, partition: Partition, key: str) -> bool:
        """Return whether the key has a ghost, which is taken."""
        if not self.ghost_bytes or not self._ghosts.take(key, partition.salt):
            return False
        self.ghost_bytes -= GHOST_BYTES
        return True

    def admit(self, partition: Partition, key: str, entry: Entry, *, is_remembered: bool) -> None:
        """Queue a newcomer in the small queue, one that returns in the main queue."""
        entry.n = 0
        if is_remembered or (not self._has_evicted and (self._small_n >= self._small_max or self._small_bytes >= self._small_bytes_max)):
            entry.where = _IN_MAIN
            self._main.push(key, partition.seat)
            self._main_n += 1
            self._main_bytes += entry.size
        else:
            entry.where = 0
            self._small.push(key, partition.seat)
            self._small_n += 1
            self._small_bytes += entry.size

    def replace(self, partition: Partition, key: str, old: Entry, new: Entry) -> None:  # noqa: ARG002 - the port's signature
        """Keep position and frequency."""
        if old.where & _IN_MAIN:
            self._main_bytes += new.size - old.size
        else:
            self._small_bytes += new.size - old.size
        new.where = old.where
        new.n = old.n

    def evict(self, now: float) -> Victim | None:
        """Give up what is expired at the head of the main queue, else what the queues say."""
        self._has_evicted = True
        self._patience = _PATIENCE
        head = self._main.peek()
        if head is not None:
            entry = head[1].entries[head[0]]
            if entry.until <= now and is_expired(entry, now):
                self._main.pop()
                return self._leave_main(head, entry, now)
        victim = None
        while victim is None and (self._small_n or self._main_n):
            is_over = self._main_n > self._main_max or self._main_bytes > self._main_bytes_max
            victim = self._evict_main(now) if is_over or not self._small_n else self._evict_small(now)
        return victim

    def _evict_small(self, now: float) -> Victim | None:
        while (found := self._small.pop()) is not None:
            key, partition = found
            entry = partition.entries[key]
            n = entry.n
            self._small_n -= 1
            self._small_bytes -= entry.size
            if entry.until <= now and is_expired(entry, now):
                return partition, key, entry, True
            if n - (entry.where >> 1) < _READS_TO_STAY or self._patience <= 0:
                self._remember(partition, key)
                return partition, key, entry, False
            entry.where = (n << 1) | _IN_MAIN
            self._main.push(key, partition.seat)
            self._main_n += 1
            self._main_bytes += entry.size
            self._patience -= 1
        return None

    def _evict_main(self, now: float) -> Victim | None:
        while (found := self._main.pop()) is not None:
            key, partition = found
            entry = partition.entries[key]
            n = entry.n
            frequency = n - (entry.where >> 1)
            if frequency < 1 or self._patience <= 0 or (entry.until <= now and is_expired(entry, now)):
                return self._leave_main(found, entry, now)
            left = frequency - 1 if frequency < _MAX_FREQUENCY else _MAX_FREQUENCY - 1
            entry.where = ((n - left) << 1) | _IN_MAIN
            self._main.push(key, partition.seat)
            self._patience -= 1
        return None

    def _leave_main(self, found: tuple[str, Partition], entry: Entry, now: float) -> Victim:
        self._main_n -= 1
        self._main_bytes -= entry.size
        return found[1], found[0], entry, is_expired(entry, now)

    def _remember(self, partition: Partition, key: str) -> None:
        # As many as 0.9 of what fits: the count just before this eviction, when bytes are the tighter bound.
        limit = int(_GHOST_SHARE * (self._small_n + self._main_n + 1))
        count = self._ghosts.add(key, partition.salt, limit=min(self._ghost_limit, limit))
        self.ghost_bytes = count * GHOST_BYTES

    def _trim_ghosts(self, limit: int) -> None:
        self._ghosts.trim(limit)
        self.ghost_bytes = len(self._ghosts) * GHOST_BYTES

    def remove(self, partition: Partition, key: str, entry: Entry) -> None:
        """Mark the entry's position as stale."""
        if entry.where & _IN_MAIN:
            self._main.forget(key, partition.seat)
            self._main_n -= 1
            self._main_bytes -= entry.size
        else:
            self._small.forget(key, partition.seat)
            self._small_n -= 1
            self._small_bytes -= entry.size
        self._compact()

    def remove_all(self, partition: Partition, entries: Iterable[Entry]) -> None:
        """Take the entries off the counts; their seat makes the positions stale."""
        for entry in entries:
            if entry.where & _IN_MAIN:
                self._main_n -= 1
                self._main_bytes -= entry.size
            else:
                self._small_n -= 1
                self._small_bytes -= entry.size
        partition.renew_seat()
        self._compact()

    def _compact(self) -> None:
        for queue, live in ((self._small, self._small_n), (self._main, self._main_n)):
            if queue.is_wasteful(live):
                for key, partition in queue.take_all():
                    queue.push(key, partition.seat)

    def rebuild(self, partitions: Iterable[Partition]) -> None:
        """Queue everything again where it was, in the order of the dicts."""
        self._unqueue()
        for partition in partitions:
            for key, entry in partition.entries.items():
                if entry.where & _IN_MAIN:
                    self._main.push(key, partition.seat)
                    self._main_n += 1
                    self._main_bytes += entry.size
                else:
                    self._small.push(key, partition.seat)
                    self._small_n += 1
                    self._small_bytes += entry.size
        self._trim_ghosts(self._ghost_limit)

    def limit(self, max_entries: int, max_bytes: int) -> None:
        """Share the new bounds between the queues and the ghosts."""
        self._small_max = max(1, int(_SMALL_SHARE * max_entries))
        self._small_bytes_max = max(1, int(_SMALL_SHARE * max_bytes))
        self._main_max = max_entries - self._small_max
        self._main_bytes_max = max_bytes - self._small_bytes_max
        self._ghost_limit = min(int(_GHOST_SHARE * max_entries), max_bytes // (_GHOST_MEMORY * GHOST_BYTES))
        self._trim_ghosts(self._ghost_limit)

    def drop_ghosts(self) -> None:
        """Forget evicted keys."""
        self._trim_ghosts(0)

    @property
    def ghosts(self) -> int:
        """How many evicted keys are remembered."""
        return len(self._ghosts)

    def check(self, partitions: Iterable[Partition]) -> None:
        """Recount: one position per entry in the queue that it names, counts and bytes per queue, bounded ghosts."""
        small, main = self._small.count(), self._main.count()
        found = [0, 0, 0, 0]
        for partition in partitions:
            for key, entry in list(partition.entries.items()):
                is_main = entry.where & _IN_MAIN
                expect_same("positions of an entry", 1, (main if is_main else small).pop((partition.seat, key), 0))
                found[2 * is_main] += 1
                found[2 * is_main + 1] += entry.size
        expect_same("positions of no entry", 0, len(small) + len(main))
        expect_same("queue counts", [self._small_n, self._small_bytes, self._main_n, self._main_bytes], found)
        expect_same("ghost bytes", self.ghost_bytes, len(self._ghosts) * GHOST_BYTES)
        expect_at_most("ghosts", len(self._ghosts), self._ghost_limit)
        expect_at_most("stale positions", self._small.length + self._main.length, 2 * (found[0] + found[2]) + 2 * FIFO_SLACK)
