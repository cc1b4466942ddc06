"""The server's clock as this process knows it: what hosts compare must come from one clock, and that is the store's."""

import time
from itertools import count
from typing import Final

VERSION_BITS: Final = 20
_CALLS: Final = 63
_WHOLE_TICKS: Final = ~_CALLS
_SAMPLE_SECONDS: Final = 60.0


class ServerClock:
    """Steady time of this host plus what the server was ahead of it. Until the server has said its time: this host's wall clock.

    Of the samples of a minute the one with the shortest trip counts, as in NTP: the server's time was taken somewhere
    within the trip, so half of it bounds the error. Thread-safe: an offset is replaced as a whole.
    """

    __slots__ = ("_calls", "_sample", "offset_ns")

    def __init__(self) -> None:
        self.offset_ns = time.time_ns() - time.monotonic_ns()
        self._sample = (float("inf"), 0.0)  # trip of the sample in use, when it was taken; seconds
        self._calls = count()

    def now_ms(self) -> int:
        """Return the server's time in milliseconds."""
        return (time.monotonic_ns() + self.offset_ns) // 1_000_000

    def version_no(self) -> int:
        """Return the server's time as a version number: milliseconds << 20, the rest of the millisecond below.

        No two calls of a process get the same: the last six bits count calls, which take longer than what they hide.
        """
        milliseconds, rest = divmod(time.monotonic_ns() + self.offset_ns, 1_000_000)
        return milliseconds << VERSION_BITS | rest & _WHOLE_TICKS | next(self._calls) & _CALLS

    def learn(self, server_ns: int, sent: float, received: float) -> None:
        """Take a sample: the server's time, and this host's monotonic seconds before and after the trip."""
        trip, taken = self._sample
        if received - sent <= trip or received - taken > _SAMPLE_SECONDS:
            self._sample = (received - sent, received)
            self.offset_ns = server_ns - int((sent + received) * 500_000_000)
