"""The time until a value changes, where its rate of change is known as a Gamma distribution: all in closed form.

Changes come at a constant rate μ, and what is known of μ is Gamma(shape a, rate b), b in seconds. Then the time until the
next change has the distribution F(t) = 1 − (b / (b + t))^a.
"""

from math import exp, expm1, log1p, sqrt
from typing import Final

_NEXT_TO_NOTHING: Final = 1e-6
_MOST_STEPS: Final = 12  # two or three from a guess
_GOOD_ENOUGH: Final = 0.1  # of the lifetime: Newton's step leaves about its square, and what is known of a key is far vaguer
_LONGEST_STEP: Final = 3.0


def bounded(value: float, least: float, most: float) -> float:
    """Return ``value`` within bounds, in a third of the time that min and max take."""
    if value < least:
        return least
    if value > most:
        return most
    return value


def changed_by(shape: float, rate: float, seconds: float) -> float:
    """Return F(seconds): the probability of a change within them."""
    return -expm1(-shape * log1p(seconds / rate))


def stale_seconds(shape: float, rate: float, ttl: float) -> float:
    """Return ∫F from 0 to ``ttl``: for how long a copy that is kept for ``ttl`` is stale, on average."""
    less = shape - 1.0
    if -_NEXT_TO_NOTHING < less < _NEXT_TO_NOTHING:  # the limit, a logarithm, is this near
        less = _NEXT_TO_NOTHING
    return max(0.0, ttl + rate * expm1(-less * log1p(ttl / rate)) / less)


def stale_seconds_seen(shape: float, rate: float, ttl: float, *, age: float, changed: bool) -> float:
    """Return for how long a copy kept for ``ttl`` was stale, given whether the value had changed when it was ``age`` old."""
    within = changed_by(shape, rate, age)
    if changed:
        if within <= 0.0:
            return ttl / 2 if ttl < age else ttl - age / 2
        if ttl <= age:
            return stale_seconds(shape, rate, ttl) / within
        return stale_seconds(shape, rate, age) / within + ttl - age
    if ttl <= age or within >= 1.0:
        return 0.0
    later = stale_seconds(shape, rate, ttl) - stale_seconds(shape, rate, age) - (ttl - age) * within
    return max(0.0, later / (1.0 - within))


def after_change(shape: float, rate: float, seconds: float) -> tuple[float, float]:
    """Return what is known of μ after a value was found changed after ``seconds``: a Gamma of the same mean and variance.

    (A value found unchanged needs no approximation: ``rate + seconds``.)
    """
    if seconds < _NEXT_TO_NOTHING * rate:
        return shape + 1.0, rate + seconds / 2
    left = rate / (rate + seconds)
    unchanged = left**shape
    changed = 1.0 - unchanged
    mean = shape / rate * (1.0 - unchanged * left) / changed
    square = shape * (shape + 1.0) / (rate * rate) * (1.0 - unchanged * left * left) / changed
    variance = square - mean * mean
    if variance <= 0.0:  # rounding, where next to nothing was learned
        return shape, rate
    return mean * mean / variance, mean / variance


def best_ttl(shape: float, rate: float, reads: float, price: float, *, least: float, most: float, guess: float = 0.0) -> float:
    """Return the smallest T with F(T) + λ∫₀ᵀ(F(T) − F(s))ds ≥ price, within bounds, in seconds.

    λ is ``reads`` per second, ``price`` what a stale read may cost, 0 to 0.95. The left side grows with T, and reaches 0.95 for
    every shape. For hot keys T is about √(2 · price / (λμ)). ``guess``: a T that is near, if one is known.
    """
    # Without a guess: the solution where F is a straight line.
    ttl = guess or (sqrt(1.0 + 2.0 * reads * price * rate / shape) - 1.0) / reads
    less = shape - 1.0
    if -_NEXT_TO_NOTHING < less < _NEXT_TO_NOTHING:
        less = _NEXT_TO_NOTHING
    for _ in range(_MOST_STEPS):
        ttl = bounded(ttl, least, most)
        logarithm = log1p(ttl / rate)
        unchanged = exp(-shape * logarithm)
        kept = -rate * expm1(-less * logarithm) / less  # ∫(1 − F)
        missing = price - 1.0 + unchanged - reads * (kept - ttl * unchanged)
        if (ttl == most and missing >= 0.0) or (ttl == least and missing <= 0.0):
            return ttl
        slope = unchanged * shape / (rate + ttl) * (1.0 + reads * ttl) * ttl  # by the logarithm of T
        step = missing / slope if slope > 0.0 else _LONGEST_STEP
        step = bounded(step, -_LONGEST_STEP, _LONGEST_STEP)
        ttl *= exp(step)
        if -_GOOD_ENOUGH < step < _GOOD_ENOUGH:
            break
    return bounded(ttl, least, most)
