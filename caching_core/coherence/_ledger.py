"""A process's copy of a tenant's ledger, good only while the cells that guard its fields hold.

A field is kept with the number its cell had before the field was read. The copy answers for an entry
when each field the entry depends on is there under the number the entry's own capture saw.
"""

import enum
from collections.abc import Iterable
from typing import Final

from caching_core.runtime import Mutex
from caching_core.tiers import Ledger

FOREVER: Final = float("inf")
_MOST_FIELDS: Final = 20_000


class Verdict(enum.Enum):
    """What the ledger says of an entry."""

    VALID = "valid"
    STALE = "stale"
    INVALIDATED = "invalidated"


class LedgerCopy:
    """A tenant's epoch, seq, floor and fields, each field as (value, the number of its cell), good ``until`` (monotonic seconds).

    Epoch, seq, floor and ``until`` never change; they are replaced with the copy. The fields are shared by all copies of one epoch
    and tenant's mark, are only added to, and their values only rise: whoever holds an older copy is told nothing older
    than it was, and nothing of another epoch. Thread-safe.
    """

    __slots__ = ("_adding", "_fields", "_tenant_mark", "epoch", "floor", "seq", "until")

    def __init__(
        self, epoch: bytes = b"", *, seq: int = 0, floor: int = 0, tenant_mark: float | None = None, until: float = FOREVER
    ) -> None:
        self.epoch = epoch
        self.seq = seq
        self.floor = floor
        self.until = until
        self._tenant_mark = tenant_mark
        self._fields: dict[str, tuple[int, float]] = {}
        self._adding = Mutex()

    def knows(self, guard: tuple[float, float], namespace: str, tags: Iterable[tuple[str, float]]) -> bool:
        """Tell whether the copy may answer for a capture with these numbers, without a trip to the store."""
        if self._tenant_mark != guard[0]:
            return False
        known = self._fields
        field = known.get("n:" + namespace)
        if field is None or field[1] != guard[1]:
            return False
        for tag, mark in tags:
            field = known.get("t:" + tag)
            if field is None or field[1] != mark:
                return False
        return True

    def learn(
        self, ledger: Ledger, guard: tuple[float, float], namespace: str, tags: Iterable[tuple[str, float]], *, until: float = FOREVER
    ) -> "LedgerCopy":
        """Return the copy that also holds what was read from the store after the cells were captured; good ``until`` at most."""
        goes_on = ledger.epoch == self.epoch and self._tenant_mark == guard[0]
        seq = max(ledger.seq, self.seq) if goes_on else ledger.seq
        until = min(until, self.until) if goes_on else until
        new = LedgerCopy(ledger.epoch, seq=seq, floor=ledger.floor, tenant_mark=guard[0], until=until)
        if not goes_on or len(self._fields) >= _MOST_FIELDS:
            new._add(ledger, guard, namespace, tags)
        elif self._adding.acquire(blocking=False):
            try:
                new._fields, new._adding = self._fields, self._adding
                new._add(ledger, guard, namespace, tags)
            finally:
                self._adding.release()
        else:
            # Another thread adds at this moment, or did when this process was forked: copying waits for nobody.
            new._fields = dict(self._fields)
            new._add(ledger, guard, namespace, tags)
        return new

    def _add(self, ledger: Ledger, guard: tuple[float, float], namespace: str, tags: Iterable[tuple[str, float]]) -> None:
        get, floor = ledger.fields.get, ledger.floor
        self._raise("n:" + namespace, get("n:" + namespace, 0), guard[1])
        self._raise("s:@all", get("s:@all", 0), guard[0])
        for tag, mark in tags:
            # The soft field first: ``knows`` asks for the hard one.
            self._raise("s:" + tag, get("s:" + tag, 0), mark)
            self._raise("t:" + tag, get("t:" + tag, floor), mark)

    def _raise(self, name: str, value: int, mark: float) -> None:
        known = self._fields.get(name)
        if known is None or value >= known[0]:  # else it was read before what is known, which somebody may be judging by
            self._fields[name] = (value, mark)

    def least_seq(self, namespace: str) -> int:
        """Return the seq from which an entry of ``namespace`` without tags is neither invalid nor stale."""
        return max(self._fields["n:" + namespace][0], self._fields["s:@all"][0])

    def judge(self, epoch: bytes, seq: int, namespace: str, tags: Iterable[str]) -> Verdict:
        """Judge an entry sealed under (epoch, seq); call only when ``knows`` said yes."""
        if epoch != self.epoch:
            return Verdict.INVALIDATED
        fields = self._fields
        if seq < fields["n:" + namespace][0]:
            return Verdict.INVALIDATED
        soft = fields["s:@all"][0]
        for tag in tags:
            if seq < fields["t:" + tag][0] or seq < self.floor:
                return Verdict.INVALIDATED
            soft = max(soft, fields["s:" + tag][0])
        return Verdict.STALE if seq < soft else Verdict.VALID


def fields_of(namespace: str, tags: Iterable[str]) -> list[str]:
    """Return the ledger fields that an entry of this namespace with these tags depends on."""
    fields = ["n:" + namespace, "s:@all"]
    for tag in tags:
        fields += ("t:" + tag, "s:" + tag)
    return fields
