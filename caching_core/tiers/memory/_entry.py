"""What L1 holds: an entry per key, a partition per tenant and namespace."""

from collections.abc import Callable
from typing import Any


class Entry:
    """One slot of L1, made by the engine as ``Entry()`` plus stores (``__init__`` would double the cost).

    Everything but ``n`` is written before ``put`` and left alone after it; ``until`` and ``seen``
    may be renewed in place. ``n`` counts reads: a hit does ``entry.n += 1`` and nothing else. ``put``
    sets ``n`` and ``where``. An entry stands under one key only.

    ``thaw``: None = ``value`` is shared, else ``thaw(value)`` is what a reader gets. ``until``:
    monotonic seconds up to which a hit needs no second look. ``lane``, ``seen``: index of the stamp
    lane and its number. ``mark``: the number of the key's stamp cell (with tags a tuple, theirs after it).
    ``guard``: the numbers of tenant and namespace. ``size``: bytes, also of the overhead. ``version``:
    the replay floor. ``where``: the policy's own. ``extra``: None, or what makes the entry special.
    """

    __slots__ = ("extra", "guard", "lane", "mark", "n", "seen", "size", "thaw", "until", "value", "version", "where")

    value: Any  # the caller's value
    thaw: Callable[[Any], Any] | None
    until: float
    lane: int
    seen: float
    n: int
    mark: Any  # the engine's: a number, or a tuple of them
    guard: Any  # the engine's: a tuple shared by a partition
    size: int
    version: int
    where: int
    extra: Any  # the engine's


class Seat:
    """A partition's standing in the queues: positions of an old seat lead nowhere, so a clear costs no scan."""

    __slots__ = ("partition",)

    def __init__(self, partition: "Partition | None") -> None:
        """Seat ``partition``; None makes a seat that leads nowhere."""
        self.partition = partition


class Partition:
    """The entries of one tenant and namespace.

    A handle reads ``entries`` without a lock (``entries[key]``; ``entries.get(key)`` is a look that
    does not count as use); only the tier writes it. The dict stays the same object for life.
    """

    __slots__ = ("bytes", "entries", "evicted", "folded", "namespace", "salt", "seat", "tenant")

    def __init__(self, tenant: str, namespace: str) -> None:
        """Make an empty partition; the tier does so in ``partition()``."""
        self.tenant = tenant
        self.namespace = namespace
        self.entries: dict[str, Entry] = {}
        self.bytes = 0
        self.folded = 0  # reads of entries that have left
        self.evicted = 0
        self.salt = hash((tenant, namespace))
        self.seat = Seat(self)

    def __repr__(self) -> str:
        """Show the names and how full it is, never a key."""
        return f"<Partition {self.tenant}/{self.namespace}: {len(self.entries)} entries, {self.bytes} bytes>"

    def renew_seat(self) -> None:
        """Make every position of this partition stale."""
        self.seat.partition = None
        self.seat = Seat(self)

    def fold(self) -> int:
        """Return the reads of all entries, those that have left included."""
        return self.folded + sum(entry.n for entry in list(self.entries.values()))
