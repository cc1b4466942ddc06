"""The staleness controller: it sets the price of a stale read so that the budget is kept."""

from math import exp, log
from typing import Final

from caching_core.learning._change_time import bounded

MOST: Final = 0.95
"""Above it a lifetime would have no bound for keys whose rate of change is not known."""

_AIM: Final = 0.8  # of the budget: what is measured is estimated, and comes late
_HORIZON: Final = 5_000.0  # reads over which the share is taken
_READS_PER_STEP: Final = 200.0
_FIRST_PRICE_PER_BUDGET: Final = 10.0
_LEAST: Final = log(1e-6)
_MOST: Final = log(MOST)


class StalenessController:
    """Moves the price of a stale read towards the one at which a share of 0.8 ``budget`` of the reads is stale; never above 0.95.

    ``step`` is the most that its logarithm moves in 200 reads. Bounded both ways, so that what was stale before a template was known
    does not push the price to where it takes days to come back from. Thread-safe if its owner is: it has no lock.
    """

    __slots__ = ("_aim", "_log_price", "_reads", "_stale", "_step", "price")

    def __init__(self, budget: float, step: float) -> None:
        self._aim = _AIM * budget
        self.set_step(step)
        self._reads, self._stale = _HORIZON, _HORIZON * self._aim
        self._log_price = min(log(_FIRST_PRICE_PER_BUDGET * budget), _MOST)
        self.price = exp(self._log_price)

    def set_step(self, step: float) -> None:
        """Take steps of another size."""
        self._step = step / _READS_PER_STEP

    @property
    def stale_share(self) -> float:
        """Return the share of reads that were stale lately, as estimated at their refills, 0 to 1."""
        return self._stale / self._reads

    def learn(self, reads: float, stale: float) -> None:
        """Take in how many of the last reads were stale."""
        if reads > _HORIZON:
            stale *= _HORIZON / reads
            reads = _HORIZON
        kept = 1.0 - reads / _HORIZON
        self._reads = self._reads * kept + reads
        self._stale = self._stale * kept + stale
        error = 1.0 - self._stale / (self._reads * self._aim)
        self._log_price = bounded(self._log_price + self._step * reads * bounded(error, -1.0, 1.0), _LEAST, _MOST)
        self.price = exp(self._log_price)
