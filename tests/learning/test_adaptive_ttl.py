"""The model behind the port: what it learns from a load, what it does not, and that it stays small."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from caching_core.config import CacheConfig
from caching_core.learning import AdaptiveTTL
from caching_core.learning._prior import FIRST_READS
from caching_core.learning._records import MAX_TEMPLATES, OTHER


def model(*, acts=True, floor=1.0, ceiling=1200.0, max_keys=1000):
    return AdaptiveTTL(acts=acts, budget=0.01, step=0.01, floor=floor, ceiling=ceiling, max_keys=max_keys)


def load(made, key="user:1", *, now=0.0, digest=1, stamp=1, version=1, hits=0, tenant="acme", data_type=None, given=300.0):
    return made.after_load(
        tenant, "default", key, data_type=data_type, now=now, digest=digest, stamp=stamp, version=version, held=(version, hits), given=given
    )


def lived(made, key, *, period, turns=60, data_type=None, gap=5.0):
    """Load a key each time ``gap`` seconds after it expired; its value changes every ``period`` seconds. Returns the last lifetime."""
    now, ttl = 0.0, 0.0
    for _ in range(turns):
        ttl = load(made, key, now=now, digest=int(now / period), hits=int(ttl / gap), data_type=data_type)
        now += ttl + gap
    return ttl


def test_values_that_stay_live_longer_and_values_that_change_shorter():
    steady, busy = model(floor=0.01), model(floor=0.01)
    assert lived(steady, "user:1", period=1e9) > 10 * lived(busy, "user:1", period=20.0)
    assert (steady.figures().refills, steady.figures().changed) == (59, 0)
    assert busy.figures().changed > 0


def test_what_was_learned_of_a_template_holds_for_a_key_never_seen():
    made = model(floor=0.01)
    for number in range(20):
        lived(made, f"price:{number}", period=20.0)
        lived(made, f"page:{number}", period=1e9)
    assert load(made, "price:99") < load(made, "page:99") / 1.5
    rates = [made.known("acme", "default", key).template_change_rate for key in ("price:99", "page:99")]
    assert rates[0] > 100 * rates[1]


def test_a_template_never_seen_begins_as_its_data_type():
    made = model(floor=0.01)
    for letter in "abcdef":
        for number in range(10):
            lived(made, f"{letter}:{number}", period=20.0, data_type="busy")
            lived(made, f"{letter}:{number}", period=1e9, data_type="calm")
    load(made, "new:1", data_type="busy")
    load(made, "new:2", data_type="calm")
    busy, calm = (made.known("acme", "default", key) for key in ("new:1", "new:2"))
    assert (busy.data_type, calm.data_type, busy.refills) == ("busy", "calm", 0)
    assert busy.template_change_rate > 10 * calm.template_change_rate


def test_an_announced_change_teaches_nothing_about_silent_ones():
    made = model()
    for turn in range(40):
        load(made, now=turn * 2000.0, digest=turn, stamp=turn)
    assert made.figures().refills == 0


def test_a_hot_key_is_kept_for_less_time_than_a_cold_one():
    made = model(floor=0.01)
    for turn in range(30):
        load(made, "hot:1", now=turn * 2000.0, hits=10_000)
        load(made, "cold:1", now=turn * 2000.0, hits=0)
    hot, cold = made.known("acme", "default", "hot:1"), made.known("acme", "default", "cold:1")
    assert hot.read_rate == pytest.approx(5.0, rel=0.1)
    assert cold.read_rate == pytest.approx(1 / 2000, rel=0.5)
    assert hot.ttl < cold.ttl


@pytest.mark.parametrize(
    ("held", "rate"),
    [
        ((1, 199), 0.1),  # all hits are known: 200 reads in 2000 seconds
        (None, 1 / 1700),  # they are not: nobody asked for 1700 seconds after the value had expired
        ((1, None), 1 / 1700),
        ((7, 1_000_000), None),  # another process has loaded it meanwhile: nothing is known
    ],
)
def test_what_memory_held_says_how_often_a_key_is_read(held, rate):
    made = model(acts=False)
    for turn in range(100):
        made.after_load(
            "acme", "default", "user:1", data_type=None, now=turn * 2000.0, digest=1, stamp=1, version=1, held=held, given=300.0
        )
    known = made.known("acme", "default", "user:1").read_rate
    assert known == pytest.approx(2 * FIRST_READS if rate is None else rate, rel=0.1)


def test_shadow_mode_answers_nothing_and_reports_both():
    made = model(acts=False)
    for turn in range(200):
        assert load(made, now=turn * 400.0, digest=turn, hits=20) is None
    figures = made.figures()
    assert (figures.acts, figures.loads, figures.refills) == (False, 200, 199)
    assert figures.stale < figures.default_stale
    assert figures.hit_ratio < figures.default_hit_ratio
    known = made.known("acme", "default", "user:1")
    assert (known.given, known.acts, known.template) == (300.0, False, "user:{}")
    assert known.ttl < 300.0


def test_tenants_learn_apart():
    made = model()
    for turn in range(40):
        load(made, now=turn * 2000.0, digest=turn, tenant="acme")
    assert made.known("globex", "default", "user:1") is None
    assert load(made, tenant="globex") == load(model(), tenant="globex")


def test_lifetimes_stay_between_floor_and_ceiling():
    made = model(floor=20.0, ceiling=50.0)
    draw = random.Random(2)
    for turn in range(500):
        ttl = load(made, f"a:{turn % 7}", now=turn * 30.0, digest=draw.randrange(3), hits=draw.randrange(100))
        assert 20.0 <= ttl <= 50.0


@pytest.mark.parametrize(("default_ttl", "ceiling"), [(300, 1200.0), (None, (2**32 - 2) / 100)])
def test_the_ceiling_is_the_default_lifetime_stretched(default_ttl, ceiling):
    config = CacheConfig.build({"ml_predictions": True, "default_ttl": default_ttl, "ttl_floor": 2}, environ={})
    made = AdaptiveTTL.of(config)
    for turn in range(300):
        ttl = load(made, now=turn * 4e7, given=default_ttl)
    assert ttl == ceiling


def test_a_clock_that_stands_still_does_no_harm():
    made = model()
    for _ in range(3):
        assert 1.0 <= load(made, digest=2) <= 1200.0
    assert made.figures().refills == 0


# -- bounds ----------------------------------------------------------------------------------------


def test_keys_are_bounded_and_the_oldest_give_way():
    made = model(max_keys=100)
    for number in range(1000):
        load(made, f"user:{number}", now=float(number))
    assert made.figures().keys == 100
    assert made.known("acme", "default", "user:899") is None
    assert made.known("acme", "default", "user:900") is not None


def test_a_tenant_with_many_keys_does_not_push_out_one_with_few():
    made = model(max_keys=100)
    for number in range(200):
        load(made, f"user:{number}", tenant="large")
    for number in range(30):
        load(made, f"user:{number}", tenant="small")
    for number in range(500):
        load(made, f"item:{number}", tenant="large")
    assert made.figures().keys == 100
    assert all(made.known("small", "default", f"user:{number}") is not None for number in range(30))


def test_templates_are_bounded_and_the_rest_is_one():
    made = model(max_keys=10_000)
    names = ["".join(chr(97 + number // 26**place % 26) for place in range(4)) for number in range(MAX_TEMPLATES + 50)]
    for name in names:
        load(made, f"{name}:1")
    assert made.figures().templates == MAX_TEMPLATES + 1
    assert made.known("acme", "default", f"{names[0]}:1").template == f"{names[0]}:{{}}"
    assert made.known("acme", "default", f"{names[-1]}:1").template == OTHER


def test_threads_lose_no_load_and_no_key():
    made = model(max_keys=50)

    def work(seed):
        draw = random.Random(seed)
        for turn in range(1000):
            load(made, f"user:{draw.randrange(200)}", now=turn * 10.0, digest=draw.randrange(2), tenant=draw.choice("ab"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert made.figures().loads == 4000
    assert made.figures().keys == 50 == sum(len(tenant.records) for tenant in made._records.tenants.values())


def test_a_forked_childs_lock_is_its_own():
    made = model()
    made._mutex.acquire()
    made.after_fork()
    assert load(made) is not None
