"""The closed forms against sums that are computed the slow way."""

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caching_core.learning._change_time import after_change, best_ttl, changed_by, stale_seconds, stale_seconds_seen

shapes = st.floats(0.1, 8.0)
rates = st.floats(1.0, 1e7)
seconds = st.floats(0.1, 1e5)


def integral(shape: float, rate: float, begin: float, end: float, steps: int = 4000) -> float:
    width = (end - begin) / steps
    return sum(changed_by(shape, rate, begin + (step + 0.5) * width) for step in range(steps)) * width


@given(shapes, rates, st.floats(1e-5, 1e4))
def test_the_distribution_is_that_of_a_gamma_mixture(shape, rate, at):
    assert changed_by(shape, rate, at) == pytest.approx(1 - (rate / (rate + at)) ** shape, abs=1e-9)


@pytest.mark.parametrize("shape", [0.3, 1.0, 1.0 + 1e-9, 2.5])
def test_stale_seconds_are_the_integral(shape):
    assert stale_seconds(shape, 500.0, 2000.0) == pytest.approx(integral(shape, 500.0, 0.0, 2000.0), rel=1e-4)


@pytest.mark.parametrize("ttl", [100.0, 900.0])
@pytest.mark.parametrize("age", [300.0, 1000.0])
def test_what_was_seen_adds_up_to_what_was_expected(ttl, age):
    shape, rate = 0.7, 800.0
    within = changed_by(shape, rate, age)
    seen = [stale_seconds_seen(shape, rate, ttl, age=age, changed=changed) for changed in (True, False)]
    assert within * seen[0] + (1 - within) * seen[1] == pytest.approx(stale_seconds(shape, rate, ttl), rel=1e-9)
    assert (seen[1] == 0.0) == (ttl <= age)  # found unchanged after its end: it was not stale for a moment


def test_a_change_is_taken_in_with_the_right_mean_and_variance():
    # The posterior is Gamma(a, b) less the part that would have been seen unchanged, e^(−μd): moments by summing over μ.
    shape, rate, age = 0.8, 400.0, 900.0
    step = 1e-5
    grid = [(index + 0.5) * step for index in range(6000)]
    weights = [mu ** (shape - 1) * exp(-rate * mu) * (1 - exp(-mu * age)) for mu in grid]
    total = sum(weights)
    mean = sum(w * mu for w, mu in zip(weights, grid, strict=True)) / total
    variance = sum(w * (mu - mean) ** 2 for w, mu in zip(weights, grid, strict=True)) / total
    new_shape, new_rate = after_change(shape, rate, age)
    assert new_shape / new_rate == pytest.approx(mean, rel=1e-3)
    assert new_shape / new_rate**2 == pytest.approx(variance, rel=1e-3)


@given(shapes, rates, seconds)
def test_a_change_never_makes_a_key_slower(shape, rate, age):
    new_shape, new_rate = after_change(shape, rate, age)
    assert new_shape / new_rate >= shape / rate * (1 - 1e-6)


@given(shapes, rates, st.floats(1e-6, 10.0), st.floats(1e-3, 0.95))
def test_the_lifetime_solves_its_equation(shape, rate, reads, price):
    ttl = best_ttl(shape, rate, reads, price, least=1e-9, most=1e15)

    def worth(at: float) -> float:
        changed = changed_by(shape, rate, at)
        return changed + reads * (at * changed - stale_seconds(shape, rate, at))

    assert worth(ttl * 0.9) < price < worth(ttl * 1.1)


def test_a_hot_key_lives_for_the_square_root_that_the_rule_promises():
    reads, shape, rate, price = 50.0, 50.0, 5e5, 0.1  # a change rate of 1e-4, well known
    assert best_ttl(shape, rate, reads, price, least=1e-6, most=1e6) == pytest.approx((2 * price / (reads * 1e-4)) ** 0.5, rel=0.05)


@pytest.mark.parametrize("guess", [0.0, 0.5, 10.0, 900.0])
def test_bounds_hold_whatever_the_guess(guess):
    assert best_ttl(0.3, 10.0, 1.0, 0.1, least=60.0, most=900.0, guess=guess) == 60.0
    assert best_ttl(0.3, 1e9, 1e-6, 0.5, least=60.0, most=900.0, guess=guess) == 900.0
