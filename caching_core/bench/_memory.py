"""Watch the private memory of this process while a workload runs, in constant space."""

import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

_KEPT = 256
_TOLERANCE_BYTES = 8 * 1024 * 1024


def private_bytes() -> int:
    """Return the anonymous memory of this process; where the system does not say, its peak resident size."""
    try:
        status = Path("/proc/self/status").read_bytes()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    # Mapped files (SQLite, stamps) are the system's page cache and no growth of ours: RssAnon leaves them out.
    for name in (b"RssAnon:", b"VmRSS:"):
        at = status.find(name)
        if at >= 0:
            return int(status[at + len(name) :].split(None, 1)[0]) * 1024
    return 0


@dataclass(frozen=True, slots=True)
class MemoryTrend:
    """Memory in the second and in the last quarter of a run (medians, bytes), and how much L1 itself grew between."""

    early_bytes: int
    late_bytes: int
    held_growth_bytes: int

    @property
    def growth_bytes(self) -> int:
        """Return what came on top between the two."""
        return self.late_bytes - self.early_bytes

    @property
    def is_flat(self) -> bool:
        """Return whether the growth is what L1 took on (twice its own count) plus 8 MiB at most."""
        return self.growth_bytes <= _TOLERANCE_BYTES + 2 * max(self.held_growth_bytes, 0)


class MemoryWatch:
    """Samples (memory, bytes held) pairs; keeps at most 256 by thinning, evenly over the run."""

    __slots__ = ("_measure", "_samples", "_skip", "_stride")

    def __init__(self, measure: Callable[[], int] = private_bytes) -> None:
        self._measure = measure
        self._samples: list[tuple[int, int]] = []
        self._stride = 1
        self._skip = 0

    def sample(self, held_bytes: int = 0) -> None:
        """Take a sample, or leave it out where enough are kept."""
        self._skip += 1
        if self._skip < self._stride:
            return
        self._skip = 0
        self._samples.append((self._measure(), held_bytes))
        if len(self._samples) >= _KEPT:
            del self._samples[::2]
            self._stride *= 2

    def trend(self) -> MemoryTrend | None:
        """Return the trend, or None before eight samples."""
        count = len(self._samples)
        if count < 8:
            return None
        early = self._samples[count // 4 : count // 2]
        late = self._samples[count * 3 // 4 :]
        return MemoryTrend(
            early_bytes=int(median(memory for memory, _ in early)),
            late_bytes=int(median(memory for memory, _ in late)),
            held_growth_bytes=int(median(held for _, held in late) - median(held for _, held in early)),
        )
