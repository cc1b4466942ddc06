"""Acknowledgements in order of time: which version had been acknowledged when."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate


class Acks:
    """When which version of a key had been acknowledged."""

    __slots__ = ("highest", "moments")

    def __init__(self, acks: Iterable[tuple[int, int]]) -> None:
        ordered = sorted(acks)
        self.moments: Sequence[int] = [moment for moment, _ in ordered]
        self.highest: Sequence[int] = list(accumulate((version for _, version in ordered), max))

    def at(self, moment: int) -> int:
        """Return the newest version that had been acknowledged at ``moment``, 0 for none."""
        count = bisect_right(self.moments, moment)
        return self.highest[count - 1] if count else 0

    def since(self, version: int) -> int:
        """Return the moment from which ``version`` was too old; call only where there is one."""
        return self.moments[bisect_right(self.highest, version)]
