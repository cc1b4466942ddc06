"""Recommendations follow from figures, and say nothing where there are too few."""

from dataclasses import replace

import pytest

from caching_core import CacheConfig, CacheStats
from caching_core.insight import recommendations

BUSY = CacheStats(hits_l1=6_000, hits_l2=3_000, misses=1_000, l1_entries=10_000, l1_bytes=2**20, l1_evicted=500)
STORE = CacheStats(l2_entries=1000, l2_bytes=4_000_000, l2_stored_bytes=2**20, l2_evicted=7)


def kinds(stats, **settings):
    return [(each.kind, each.setting, each.proposed) for each in recommendations(stats, CacheConfig.build(settings, environ={}))]


def test_a_full_memory_before_a_busy_store_wants_to_be_larger():
    (found,) = recommendations(BUSY, CacheConfig.build({}, environ={}))
    assert (found.kind, found.setting, found.current, found.proposed) == ("l1_size", "l1_max_size", "10000", "20000")
    assert found.gain_points == pytest.approx(30)
    assert found.evidence["l1_evicted"] == 500
    assert not found.auto_apply
    assert "30.0 % of 10000 reads" in found.description


def test_the_bound_that_is_met_first_is_the_one_to_raise():
    assert kinds(replace(BUSY, l1_entries=100, l1_bytes=60 * 2**20)) == [("l1_size", "l1_max_bytes", str(2**27))]


@pytest.mark.parametrize("change", [{"l1_evicted": 0}, {"hits_l2": 10}, {"hits_l1": 600, "hits_l2": 300, "misses": 99}])
def test_no_need_or_no_proof_is_no_advice(change):
    assert kinds(replace(BUSY, **change)) == []


def test_memory_that_is_off_is_worth_a_try():
    assert kinds(replace(BUSY, hits_l1=0, l1_entries=0, l1_evicted=0), l1_enabled=False) == [("tier_to_add", "l1_enabled", "True")]


def test_a_full_store_that_gives_up_entries_wants_to_be_larger():
    assert kinds(STORE, disk_max_bytes=2**20) == [("store_size", "disk_max_bytes", str(2**21))]
    assert kinds(STORE, disk_max_bytes=2**22) == kinds(replace(STORE, l2_evicted=0), disk_max_bytes=2**20) == []
    (found,) = recommendations(STORE, CacheConfig.build({"disk_max_bytes": 2**20}, environ={}))
    assert found.gain_points is None
    assert found.as_dict()["evidence"]["l2_evicted"] == 7


def test_large_entries_want_to_be_compressed():
    assert kinds(STORE, compression_enabled=False) == [("compression", "compression_algorithm", "auto")]
    assert kinds(replace(STORE, l2_bytes=100_000), compression_enabled=False) == []
