"""What the tier asks of an eviction policy; every call is made under the tier's lock."""

from collections.abc import Iterable
from typing import Protocol

from caching_core.tiers.memory._entry import Entry, Partition

# Who goes: where, which key, which entry, and whether it was past its time. It has left the policy's
# queues; the tier takes it out of the dict. (A NamedTuple costs 0.25 us to make.)
Victim = tuple[Partition, str, Entry, bool]


class Policy(Protocol):
    """Order among entries. ``entry.n`` is read by the policy, written by readers at any moment."""

    name: str
    ghost_bytes: int

    def make_partition(self, tenant: str, namespace: str) -> Partition:
        """Make an empty partition with the kind of dict that this policy needs."""
        ...

    def settle(self) -> None:
        """Take note of reads that were only logged; the policy does so by itself before it queues or evicts."""
        ...

    def is_remembered(self, partition: Partition, key: str) -> bool:
        """Return whether a key that is about to be admitted was evicted lately, and forget that it was."""
        ...

    def admit(self, partition: Partition, key: str, entry: Entry, *, is_remembered: bool) -> None:
        """Queue a new entry: sets ``where`` and ``n``."""
        ...

    def replace(self, partition: Partition, key: str, old: Entry, new: Entry) -> None:
        """Let ``new`` take the place of ``old``: sets ``where`` and ``n``."""
        ...

    def evict(self, now: float) -> Victim | None:
        """Choose who goes, at ``now``; None when nothing is queued."""
        ...

    def remove(self, partition: Partition, key: str, entry: Entry) -> None:
        """Forget an entry that is discarded; called after it left the dict."""
        ...

    def remove_all(self, partition: Partition, entries: Iterable[Entry]) -> None:
        """Forget all entries of a partition and renew its seat; called after they left the dict."""
        ...

    def reset(self) -> None:
        """Forget everything; called when all dicts are empty."""
        ...

    def rebuild(self, partitions: Iterable[Partition]) -> None:
        """Start again from what stands in the dicts, in their order."""
        ...

    def limit(self, max_entries: int, max_bytes: int) -> None:
        """Take new bounds."""
        ...

    def drop_ghosts(self) -> None:
        """Forget evicted keys."""
        ...

    @property
    def ghosts(self) -> int:
        """How many evicted keys are remembered."""
        ...

    def check(self, partitions: Iterable[Partition]) -> None:
        """Recount everything; AssertionError on a difference."""
        ...


def is_expired(entry: Entry, now: float) -> bool:
    """Return whether an entry is past its time for certain.

    ``until`` alone cannot tell for an entry with ``extra`` (stale-while-revalidate, negative, audited),
    nor 0, which sends each read down the slow road.
    """
    return 0.0 < entry.until <= now and entry.extra is None
