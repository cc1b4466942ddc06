"""The checker must flag caches that are wrong, and pass the one that is right, through the very same harness."""

from pathlib import Path

import pytest

from caching_core.testing.history import Plan, run

BROKEN = Path(__file__).with_name("broken_caches.py")


def plan_of(tmp_path, subject, **changes):
    small = {"processes": 2, "operations": 6_000, "keys": 40, "tenants": 2, "tags": 3, "slow_loads": 0.05, "world": "blocking"}
    return Plan(str(tmp_path), subject=f"{BROKEN}:{subject}" if subject else Plan("").subject, **{**small, **changes})


@pytest.mark.parametrize(
    ("subject", "invariant", "changes"),
    [
        ("naive", "I1", {}),
        ("without_touch", "I1", {}),
        ("without_lanes", "I1", {}),
        ("touch_before_store", "I1", {"keys": 12}),
        ("fill_without_lease", "I1", {"keys": 8, "slow_loads": 0.5, "load_seconds": 0.005, "ttl": 0.01, "operations": 4_000}),
        ("joiners_take_anything", "I1", {"keys": 6, "concurrency": 6, "slow_loads": 0.5, "load_seconds": 0.005, "operations": 4_000}),
        ("without_ledger", "I5", {"config": {"l1_enabled": False}}),
        ("without_lifetimes", "I8", {"ttl": 0.01}),
        ("shared_values", "I6", {}),
        ("one_tenant", "I6", {}),
        ("incr_is_get_and_set", "I9", {"counters": 1}),
        ("swap_without_compare", "I1", {"keys": 6}),
        ("changes_unheard", "I8", {"ttl": 0.01}),
        ("changes_unheard", "I10", {}),
    ],
)
def test_a_broken_cache_is_flagged(tmp_path, subject, invariant, changes):
    report = run(plan_of(tmp_path, subject, **changes))
    assert report.violations[invariant] > 0, report.as_text()
    assert not report.is_clean
    assert report.examples


@pytest.mark.parametrize("world", ["blocking", "loop", "mixed"])
def test_the_cache_itself_passes(tmp_path, world):
    report = run(plan_of(tmp_path, None, world=world, concurrency=4))
    assert report.is_clean, report.as_text()
    assert report.run["worker_errors"] == []
    assert report.reads > 3_000


def test_the_curve_of_a_naive_cache_falls_with_its_lifetime(tmp_path):
    report = run(plan_of(tmp_path, "naive"))
    assert report.curve[0] >= report.curve[10] >= report.curve[500]
    assert report.curve[10] > 0
    assert report.worst_ms > 10
