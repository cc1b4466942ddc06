"""A template's prior finds the rates of its keys; the price of a stale read keeps the budget, and keeps below its cap."""

import random
from math import exp

import pytest

from caching_core.learning._change_time import changed_by
from caching_core.learning._controller import MOST, StalenessController
from caching_core.learning._prior import FIRST_MEAN, DataType, RatePrior


def taught(prior: RatePrior, mean: float, keys: int, *, seed: int = 1) -> None:
    """Show keys once each, at ages from a thirtieth to ten times the mean time to a change."""
    draw = random.Random(seed)
    for _ in range(keys):
        age = 10 ** draw.uniform(-1.5, 1.0) / mean
        prior.learn(prior.shape, prior.rate, age=age, changed=draw.random() < 1 - exp(-mean * age))


@pytest.mark.parametrize("mean", [1e-6, 1e-3, 0.3])
def test_a_template_finds_how_soon_its_keys_change(mean):
    prior = RatePrior("user:{}", DataType("user"))
    taught(prior, mean, 4000)
    assert prior.mean == pytest.approx(mean, rel=0.5)
    assert changed_by(prior.shape, prior.rate, 0.5 / mean) == pytest.approx(1 - exp(-0.5), abs=0.1)
    assert (prior.refills, prior.kind.name) == (4000, "user")


def test_keys_that_differ_make_a_wider_prior():
    def shape(factor: float) -> float:
        prior = RatePrior("x", DataType(None))
        draw = random.Random(3)
        for _ in range(6000):
            rate = 1e-3 * (factor if draw.random() < 0.5 else 1.0)
            age = draw.choice([10.0, 300.0, 9000.0])
            prior.learn(prior.shape, prior.rate, age=age, changed=draw.random() < 1 - exp(-rate * age))
        return prior.shape

    assert shape(1000.0) < shape(1.0) / 2


def test_a_template_starts_where_those_of_its_data_type_are():
    kind = DataType("session")
    assert RatePrior("new", kind).mean == pytest.approx(FIRST_MEAN)
    for number in range(5):
        taught(RatePrior(f"session:{number}", kind), 0.05, 300, seed=number)
    assert RatePrior("session:new", kind).mean == pytest.approx(0.05, rel=2.0)
    assert RatePrior("other", DataType("user")).mean == pytest.approx(FIRST_MEAN)


def test_the_price_falls_where_too_much_is_stale_and_rises_where_little_is():
    dear, cheap = StalenessController(0.01, 0.01), StalenessController(0.01, 0.01)
    before = dear.price
    for _ in range(20_000):
        dear.learn(2.0, 0.2)
        cheap.learn(2.0, 0.0)
    assert dear.price < before / 2
    assert dear.stale_share == pytest.approx(0.1, rel=0.01)
    assert cheap.price > before * 2


def test_the_price_never_passes_its_cap():
    controller = StalenessController(0.5, 1.0)
    for _ in range(50_000):
        controller.learn(50.0, 0.0)
        assert controller.price <= MOST
    assert controller.price == pytest.approx(MOST)


def test_one_very_hot_key_moves_the_price_by_a_bounded_step():
    controller = StalenessController(0.01, 0.01)
    before = controller.price
    controller.learn(1e9, 1e9)
    assert controller.price == pytest.approx(before * exp(-0.25), rel=1e-6)


def test_in_a_closed_loop_the_share_settles_at_four_fifths_of_the_budget():
    controller, draw = StalenessController(0.02, 0.05), random.Random(5)
    shares = []
    for turn in range(60_000):
        stale = 1.0 if draw.random() < min(1.0, 0.3 * controller.price) else 0.0
        controller.learn(1.0, stale)
        if turn > 20_000:
            shares.append(stale)
    assert sum(shares) / len(shares) == pytest.approx(0.016, rel=0.2)
