"""Where nothing comes of it but a report, few keys are observed: always the same ones, whatever comes and goes."""

from caching_core.learning import AdaptiveTTL
from caching_core.learning._adaptive_ttl import MOST_SHADOW_KEYS


def make(*, acts=False):
    return AdaptiveTTL(acts=acts, budget=0.01, step=0.1, floor=1.0, ceiling=3600.0, max_keys=100_000)


def load(model, key, now, digest=1):
    return model.after_load("acme", "default", key, data_type=None, now=now, digest=digest, stamp=0, version=0, held=None, given=300.0)


def test_the_number_is_bounded_and_the_same_keys_are_met_again():
    model = make()
    for turn in range(5):
        for number in range(10_000):
            load(model, f"user:{number}", now=100.0 * turn)
    figures = model.figures()
    assert MOST_SHADOW_KEYS / 4 < figures.keys <= MOST_SHADOW_KEYS
    assert 0.0 < figures.share < 0.05
    assert figures.refills > 2 * figures.keys  # each of them at nearly every turn
    observed = [number for number in range(10_000) if model.known("acme", "default", f"user:{number}") is not None]
    assert len(observed) == figures.keys


def test_keys_that_are_asked_for_no_more_give_way():
    model = make()
    for number in range(200_000):
        load(model, f"session:{number}", now=float(number))
    share = model.figures().share
    assert share > 0.01  # a tenth of a percent, if all of them were taken for alive


def test_where_it_acts_all_are_observed():
    model = make()
    for number in range(2_000):
        load(model, f"user:{number}", now=0.0)
    model.act(0.1)
    for number in range(2_000):
        assert load(model, f"user:{number}", now=1.0) is not None
    assert model.figures().share == 1.0
    assert model.figures().keys == 2_000
