"""What reads come to under a rule for lifetimes, as expected from what is known of their keys."""


class Expected:
    """Sums over reads: how many of them are hits, and how many are stale."""

    __slots__ = ("_hits", "_reads", "_stale")

    def __init__(self) -> None:
        self._reads = self._hits = self._stale = 0.0

    def add(self, reads: float, rate: float, ttl: float, stale_for: float) -> None:
        """Add reads of a key that is read ``rate`` times a second, kept for ``ttl`` seconds and stale for ``stale_for`` of them."""
        per_load = 1.0 + rate * ttl
        self._reads += reads
        self._hits += reads * (1.0 - 1.0 / per_load)
        self._stale += reads * rate * stale_for / per_load

    def add_first(self) -> None:
        """Add the first read of a key: a miss under every rule."""
        self._reads += 1.0

    def add_for_ever(self, reads: float) -> None:
        """Add reads of a key that is never loaded again: sooner or later it is stale for good."""
        self._reads += reads
        self._hits += reads
        self._stale += reads

    @property
    def hit_ratio(self) -> float | None:
        """Return hits per read in percent; None before the first."""
        return 100.0 * self._hits / self._reads if self._reads else None

    @property
    def stale(self) -> float | None:
        """Return stale reads per read in percent; None before the first."""
        return 100.0 * self._stale / self._reads if self._reads else None
