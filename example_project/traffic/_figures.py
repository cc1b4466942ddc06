"""What the visits came to."""

import threading
from dataclasses import dataclass, field

_KEPT = 4000


@dataclass(slots=True)
class Figures:
    """Counts of all threads, and the times of the last 4000 answers. Thread-safe."""

    requests: int = 0
    failed: int = 0
    seconds: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, seconds: float, *, is_good: bool) -> None:
        """Count an answer."""
        with self.lock:
            self.requests += 1
            self.failed += not is_good
            self.seconds.append(seconds)
            del self.seconds[:-_KEPT]

    def line(self, elapsed: float) -> str:
        """Return the figures in one line; ``elapsed`` seconds after the first request."""
        with self.lock:
            times = sorted(self.seconds)
            requests, failed = self.requests, self.failed
        if not times:
            return "no answer yet"
        middle, late = (times[min(int(len(times) * share), len(times) - 1)] * 1000 for share in (0.5, 0.95))
        return f"{requests:,} requests, {failed} failed, {requests / max(elapsed, 1e-9):,.0f}/s, p50 {middle:.1f} ms, p95 {late:.1f} ms"
