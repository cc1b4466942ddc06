"""The model on the shared update workloads: what it must reach, in a quick version and, with --slow, in full."""

import importlib.util
from statistics import fmean

import pytest

from caching_core.testing.ttl import Plan, Workloads, WorkloadsMissing, run


@pytest.fixture
def workloads(shared_dir):
    if importlib.util.find_spec("numpy") is None:
        pytest.skip("numpy: the workloads are generated with it")
    return Workloads(shared_dir / "workloads")


def test_it_beats_the_best_fixed_lifetimes_within_the_budget(workloads):
    (result,) = run(Plan(seeds=(1,), reads=60_000, keys=8_000), workloads)
    assert result.gain >= 5.0
    assert result.stale <= 1.2
    assert result.expected_hit_ratio == pytest.approx(result.hit_ratio, abs=6.0)


@pytest.mark.slow
def test_three_whole_days_of_mixed_keys(workloads):
    results = list(run(Plan(), workloads))
    assert fmean(result.gain for result in results) >= 5.0
    assert max(result.stale for result in results) <= 1.2


def test_in_shadow_mode_the_fixed_lifetime_stays(workloads):
    (acting,) = run(Plan(seeds=(1,), reads=5_000, keys=800), workloads)
    (shadow,) = run(Plan(seeds=(1,), reads=5_000, keys=800, acts=False), workloads)
    assert shadow.stale > 5.0 > acting.stale


def test_a_folder_without_workloads_is_told(tmp_path):
    with pytest.raises(WorkloadsMissing, match=r"no updates\.py"):
        Workloads(tmp_path)
