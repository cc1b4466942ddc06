"""The counter checker: which turns the changes and reads of a counter may have had, whatever the order of calls that overlapped.

A turn is the number of changes since the counter began, and a change has the one that it made. Between resets no two
changes have the same turn, and none has an earlier one than a change that had returned before; and no more turns
have passed than there were changes since the last reset. Per change and read that is a few bisections.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from caching_core.testing.history._acks import Acks
from caching_core.testing.history._gather import CounterEvents, Turn

_NEVER: Final = -1


class Counter:
    """One counter, as its changes and resets let it be."""

    __slots__ = ("_begins", "_calm", "_changes", "_ends", "_firm", "_reads", "_resets", "_returned", "_unrest")

    def __init__(self, events: CounterEvents, *, faults: Iterable[tuple[int, int]] = ()) -> None:
        """``faults`` are windows in which a counter may be lost."""
        self._changes = sorted(turn for turn in events.changes.values() if turn.turn)
        self._reads = sorted(events.reads)
        self._begins = sorted(turn.begin for turn in events.changes.values())
        self._ends = sorted(turn.end for turn in events.changes.values())
        self._resets = Acks((end, begin) for begin, end in events.resets)
        self._unrest, self._calm = _united([*events.resets, *faults])
        # By when the last reset had ended: the changes that came wholly after it and before the next.
        self._firm: dict[int, list[Turn]] = defaultdict(list)
        for change in self._changes:
            calm = self._calm_at(change.end)
            if change.begin > calm:
                self._firm[calm].append(change)
        self._returned = {calm: Acks((change.end, change.turn) for change in firm) for calm, firm in self._firm.items()}

    def _calm_at(self, moment: int) -> int:
        """Return when the last reset had surely ended that may have come before ``moment``."""
        count = bisect_right(self._unrest, moment)
        return self._calm[count - 1] if count else _NEVER

    def wrong_changes(self) -> Iterator[tuple[Turn, str]]:
        """Name the changes that lost another, or counted more than there was."""
        for calm, firm in self._firm.items():
            taken: set[int] = set()
            for change in firm:
                before = self._returned[calm].at(change.begin)
                if change.turn in taken:
                    yield change, f"turn {change.turn}, which another change had as well"
                elif change.turn < before:
                    yield change, f"turn {change.turn}, but {before} had been returned"
                taken.add(change.turn)
        yield from self._too_many(self._changes)

    def wrong_reads(self) -> Iterator[tuple[Turn, str]]:
        """Name the reads that are older than what had been returned, or newer than there was."""
        for read in self._reads:
            acks = self._returned.get(self._calm_at(read.end))
            before = 0 if acks is None else acks.at(read.begin)
            if read.turn < before:
                yield read, f"turn {read.turn}, but {before} had been returned"
        yield from self._too_many(self._reads)

    def _too_many(self, turns: Iterable[Turn]) -> Iterator[tuple[Turn, str]]:
        for turn in turns:
            reset = self._resets.at(turn.begin)  # the begin of the last one that had ended
            most = bisect_right(self._begins, turn.end) - bisect_left(self._ends, reset)
            if turn.turn > most:
                yield turn, f"turn {turn.turn}, but at most {most} changes were made since its last reset"


def _united(windows: Iterable[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Return the begins and ends of the windows, in order, those that overlap as one."""
    begins: list[int] = []
    ends: list[int] = []
    for begin, end in sorted(windows):
        if ends and begin <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            begins.append(begin)
            ends.append(end)
    return begins, ends
