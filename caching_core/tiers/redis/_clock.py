"""The server's clock as this process knows it: what hosts compare must come from one clock, and that is the store's."""

import threading
import time
from typing import Final

from caching_core.runtime import after_fork_in_child

VERSION_BITS: Final = 20
_DRIFT: Final = 2e-4  # seconds per second by which a sample grows worse: four times what clocks are apart


class ServerClock:
    """Steady time of this host plus what the server was ahead of it. Until the server has said its time: this host's wall clock.

    The sample with the shortest trip counts, as in NTP: the server's time was taken somewhere within the trip, so half of it
    bounds the error. A sample that ages gives way to longer trips, little by little. Thread-safe: an offset is replaced as a
    whole.
    """

    __slots__ = ("__weakref__", "_last", "_mutex", "_sample", "offset_ns")

    def __init__(self) -> None:
        self.offset_ns = time.time_ns() - time.monotonic_ns()
        self._sample = (float("inf"), 0.0)  # trip of the sample in use, when it was taken; seconds
        self._last = 0
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        self._mutex = threading.Lock()

    def now_ms(self) -> int:
        """Return the server's time in milliseconds."""
        return (time.monotonic_ns() + self.offset_ns) // 1_000_000

    def version_no(self) -> int:
        """Return the server's time as a version number: milliseconds << 20, the rest of the millisecond below.

        Each is higher than all before it in this process, also where the offset has just been put right: what a process
        writes later is newer.
        """
        with self._mutex:
            milliseconds, rest = divmod(time.monotonic_ns() + self.offset_ns, 1_000_000)
            self._last = number = max(milliseconds << VERSION_BITS | rest, self._last + 1)
        return number

    def learn(self, server_ns: int, sent: float, received: float) -> None:
        """Take a sample: the server's time, and this host's monotonic seconds before and after the trip."""
        trip, taken = self._sample
        if received - sent <= trip + (received - taken) * _DRIFT:
            self._sample = (received - sent, received)
            self.offset_ns = server_ns - int((sent + received) * 500_000_000)
