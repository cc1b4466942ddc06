"""A queue of keys whose removals are marks, not searches."""

from collections import deque
from typing import Any, Final

from caching_core.tiers.memory._audit import expect_same
from caching_core.tiers.memory._entry import Partition, Seat

FIFO_SLACK: Final = 64


class Fifo:
    """Positions in order of arrival, eight bytes each.

    Positions are stored in runs: a seat, then the keys that arrived for it, until another partition's
    key arrives. A key that is removed leaves its position behind and is counted in ``_stale``; the
    position is skipped when it is met. Stale positions of a key always stand before its live one, so
    a count per key is enough. ``take_all`` and pushing again drops them.
    """

    __slots__ = ("_head", "_positions", "_stale", "_tail", "length")

    def __init__(self) -> None:
        """Make an empty queue."""
        self.clear()

    def clear(self) -> None:
        """Forget every position and mark."""
        self._positions: deque[Any] = deque()  # str | Seat: narrowing by isinstance would cost per pop
        self._head = self._tail = Seat(None)
        self._stale: dict[tuple[Seat, str], int] = {}
        self.length = 0

    def push(self, key: str, seat: Seat) -> None:
        """Put a position at the end."""
        if seat is not self._tail:
            self._positions.append(seat)
            self._tail = seat
        self._positions.append(key)
        self.length += 1

    def peek(self) -> tuple[str, Partition] | None:
        """Return the first live position without taking it; stale ones before it are dropped."""
        positions = self._positions
        while positions:
            key = positions[0]
            if type(key) is Seat:
                self._head = positions.popleft()
                continue
            head = self._head
            # Marks are spent on positions of a cleared partition too, or they would stay for ever.
            if not (self._stale and self._spend(key, head)) and head.partition is not None:
                return key, head.partition
            positions.popleft()
            self.length -= 1
        return None

    def pop(self) -> tuple[str, Partition] | None:
        """Take the first live position, or None when nothing lives."""
        positions = self._positions
        while positions:
            key = positions.popleft()
            if type(key) is Seat:
                self._head = key
                continue
            self.length -= 1
            head = self._head
            if not (self._stale and self._spend(key, head)) and head.partition is not None:
                return key, head.partition
        return None

    def forget(self, key: str, seat: Seat, count: int = 1) -> None:
        """Mark the ``count`` positions that ``key`` has now as stale."""
        place = (seat, key)
        self._stale[place] = self._stale.get(place, 0) + count

    def is_wasteful(self, live: int) -> bool:
        """Return whether more than half of the positions are stale, given how many live."""
        return self.length > 2 * live + FIFO_SLACK

    def take_all(self) -> list[tuple[str, Partition]]:
        """Empty the queue and return its live positions in order."""
        found = list(iter(self.pop, None))
        self.clear()
        return found

    def count(self) -> dict[tuple[Seat, str], int]:
        """Count the live positions per seat and key, by walking; for checks."""
        counts: dict[tuple[Seat, str], int] = {}
        seat, length = self._head, 0
        for item in self._positions:
            if type(item) is Seat:
                seat = item
                continue
            length += 1
            counts[seat, item] = counts.get((seat, item), 0) + 1
        expect_same("queue length", self.length, length)
        for place, stale in self._stale.items():
            counts[place] = counts.get(place, 0) - stale
        return {place: count for place, count in counts.items() if count and place[0].partition is not None}

    def _spend(self, key: str, seat: Seat) -> bool:
        place = (seat, key)
        count = self._stale.get(place)
        if count is None:
            return False
        if count == 1:
            del self._stale[place]
        else:
            self._stale[place] = count - 1
        return True
