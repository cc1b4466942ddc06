"""How long the verbs take below L1: histograms of plain integers, filled by one call in 64.

A hit in L1 is not timed: reading the clock twice would cost as much as the hit.
"""

from bisect import bisect_left
from typing import Final

BOUNDS: Final = (5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
SAMPLING: Final = 63  # a call is timed where its number & this is 0; counters that begin with 1 compare with 1


class Timing:
    """The durations of one verb: ``counts`` per bucket of ``BOUNDS`` and one beyond them, ``seconds`` in all."""

    __slots__ = ("_calls", "counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0
        self._calls = 0

    def is_due(self) -> bool:
        """Tell whether this call is one to be timed: the first, and each 64th after it."""
        call = self._calls
        self._calls = call + 1
        return not call & SAMPLING

    def took(self, seconds: float) -> None:
        """Count a duration. As of ``Counts``: nothing is lost between threads."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds


class Timings:
    """The timings of a process, one per verb; the attribute is the verb's name."""

    __slots__ = ("delete", "get", "invalidate", "load", "set")

    def __init__(self) -> None:
        self.get = Timing()
        self.set = Timing()
        self.delete = Timing()
        self.invalidate = Timing()
        self.load = Timing()
