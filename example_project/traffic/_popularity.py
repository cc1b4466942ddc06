"""What is popular: few things very, many hardly, by Zipf's law."""

import bisect
import itertools
import random


class Popularity:
    """Draws ids 0 … ``count`` - 1; the rank-r id comes with weight r ** -``exponent``."""

    def __init__(self, count: int, exponent: float, seed: int) -> None:
        self._edges = list(itertools.accumulate(rank**-exponent for rank in range(1, count + 1)))
        self._ids = list(range(count))
        # The same order for every worker: what is popular with one is popular with all.
        random.Random(seed).shuffle(self._ids)

    def draw(self, source: random.Random) -> int:
        """Return one id."""
        place = bisect.bisect_left(self._edges, source.random() * self._edges[-1])
        return self._ids[min(place, len(self._ids) - 1)]
