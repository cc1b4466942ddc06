"""What is known of the keys of a template before one of them was seen, and of a template before it was: fitted from the keys."""

from math import exp, expm1, log, log1p
from typing import Final

from caching_core.learning._change_time import bounded

# A rate of change that is anything from one per second to one in weeks: shape and mean per second.
FIRST_SHAPE: Final = 0.3
FIRST_MEAN: Final = 1e-4
FIRST_READS: Final = 1e-4  # reads of a key per second

_LOG_MEAN: Final = (log(1e-9), log(20.0))
_LOG_SHAPE: Final = (log(0.1), log(8.0))
_LEAST_CHANCE: Final = 1e-9
_LONGEST_STEP: Final = 0.5
_FADING: Final = 0.999
_WEIGHT: Final = 1.0  # of what a template starts with, as information
_MOST_WEIGHT: Final = 1_000.0
_LEARNED_FROM_ALL: Final = 256  # refills of a template
_THEN_ONE_IN: Final = 3  # of four: those whose number & this is 0
_LEAST_EVIDENCE: Final = 16
_READS_KEPT: Final = 100_000.0


class RatePrior:
    """A template: the Gamma distribution of its keys' rates of change, and the reads per second of one of them.

    ``learn`` climbs the likelihood of what was seen of the keys, each offset by its own observations: the gradient, by the
    logarithms of mean and shape, over the Fisher information so far. Constant time and memory, whatever the number of keys.
    """

    __slots__ = (
        "_both_weight", "_log_mean", "_log_shape", "_mean_weight", "_shape_weight",
        "changed", "kind", "name", "rate", "read_seconds", "reads", "refills", "shape", "told",
    )  # fmt: skip

    def __init__(self, name: str, kind: "DataType") -> None:
        self.name = name
        self.kind = kind
        self._log_mean, self._log_shape = kind.log_mean, kind.log_shape
        self._mean_weight: float = 0.0
        self._shape_weight: float = 0.0
        self._both_weight: float = 0.0
        self.refills = self.changed = 0
        self.told = (0.0, 0.0, 0.0)  # what the data type was told of this template: weight, log mean, log shape
        self.reads, self.read_seconds = 1.0, 1.0 / kind.reads
        self._settle()

    @property
    def mean(self) -> float:
        """Return the mean rate of change of a key, per second."""
        return self.shape / self.rate

    def learn(self, shape: float, rate: float, *, age: float, changed: bool) -> None:
        """Take in whether a key, of which ``shape`` and ``rate`` are known with this prior in them, had changed after ``age``."""
        self.refills += 1
        self.changed += changed
        if self.refills > _LEARNED_FROM_ALL and self.refills & _THEN_ONE_IN:
            return
        logarithm = log1p(age / rate)
        chance = -expm1(-shape * logarithm)
        odds = (1.0 - chance) / chance if chance > _LEAST_CHANCE else 1.0 / _LEAST_CHANCE
        # The gradient of log(1 − chance) by the logarithms of mean and shape.
        to_mean = -self.rate * shape * age / (rate * (rate + age))
        to_shape = -self.shape * logarithm - to_mean
        if self._mean_weight > _MOST_WEIGHT or self._shape_weight > _MOST_WEIGHT:  # what is old counts less: rates change
            self._mean_weight *= _FADING
            self._shape_weight *= _FADING
            self._both_weight *= _FADING
        self._mean_weight += odds * to_mean * to_mean
        self._shape_weight += odds * to_shape * to_shape
        by_mean, by_shape = self._mean_weight + _WEIGHT, self._shape_weight + _WEIGHT
        both = self._both_weight = self._both_weight + odds * to_mean * to_shape
        if changed:
            to_mean *= -odds
            to_shape *= -odds
        volume = by_mean * by_shape - both * both
        step = bounded((by_shape * to_mean - both * to_shape) / volume, -_LONGEST_STEP, _LONGEST_STEP)
        self._log_mean = bounded(self._log_mean + step, *_LOG_MEAN)
        step = bounded((by_mean * to_shape - both * to_mean) / volume, -_LONGEST_STEP, _LONGEST_STEP)
        self._log_shape = bounded(self._log_shape + step, *_LOG_SHAPE)
        self._settle()
        if self.refills >= _LEAST_EVIDENCE and self.refills & (self.refills - 1) == 0:  # at 16, 32, 64 …: rarely, and less and less
            self.kind.learn(self, self._log_mean, self._log_shape)

    def saw_reads(self, reads: float, seconds: float) -> None:
        """Take in that a key was read so often in so many seconds."""
        self.reads += reads
        self.read_seconds += seconds
        if self.reads > _READS_KEPT:
            self.reads /= 2
            self.read_seconds /= 2

    def _settle(self) -> None:
        self.shape = exp(self._log_shape)
        self.rate = exp(self._log_shape - self._log_mean)


class DataType:
    """What a template of a data type starts with: the mean of its templates, as wide as they differ."""

    __slots__ = ("_squares", "_sum_mean", "_sum_shape", "_weight", "log_mean", "log_shape", "name", "reads")

    def __init__(self, name: str | None) -> None:
        self.name = name
        self._weight, self._sum_mean, self._sum_shape = 1.0, log(FIRST_MEAN), log(FIRST_SHAPE)
        self._squares = log(FIRST_MEAN) ** 2
        self.log_mean, self.log_shape, self.reads = log(FIRST_MEAN), log(FIRST_SHAPE), FIRST_READS

    def learn(self, template: RatePrior, log_mean: float, log_shape: float) -> None:
        """Put what a template has come to in place of what it said before."""
        weight, mean, shape = template.told
        template.told = (1.0, log_mean, log_shape)
        self._weight += 1.0 - weight
        self._sum_mean += log_mean - mean
        self._sum_shape += log_shape - shape
        self._squares += log_mean * log_mean - mean * mean
        self.log_mean = self._sum_mean / self._weight
        spread = max(0.0, self._squares / self._weight - self.log_mean**2)
        # The logarithm of a Gamma variable varies by about 1 / shape: the templates' own spread is added to that.
        self.log_shape = -log(exp(-self._sum_shape / self._weight) + spread)
        self.reads += 0.25 * (template.reads / template.read_seconds - self.reads)
