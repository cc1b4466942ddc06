"""Health says which level answers, and does not wait for one that does not."""

import os

import pytest

from caching_core import CacheManager, SyncCacheManager
from caching_core.errors import TierUnavailable
from caching_core.insight import Condition, Health, TierHealth, probe
from caching_core.runtime import run_sync
from caching_core.types import CacheLevel


def conditions(health):
    return {tier.level.value: tier.condition.value for tier in health.tiers}


def test_both_levels_answer(opened):
    health = opened().health()
    assert conditions(health) == {"l1": "up", "l2": "up"}
    assert health.is_healthy
    assert health.status == "ok"


async def test_on_a_loop_too(tmp_path):
    async with CacheManager({"directory": str(tmp_path / "cache")}) as manager:
        assert conditions(await manager.health()) == {"l1": "up", "l2": "up"}


def test_levels_that_nobody_asked_for_are_not_missed(opened):
    assert conditions(opened(cache_levels=1).health()) == {"l1": "up"}
    assert conditions(opened(l1_enabled=False).health()) == {"l2": "up"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root: may write everywhere")
def test_a_directory_that_cannot_be_had_is_absent(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    _absent(tmp_path / "closed" / "cache")


def test_a_directory_below_a_file_is_absent(tmp_path):
    (tmp_path / "file").write_text("")
    _absent(tmp_path / "file" / "cache")


def _absent(directory):
    with SyncCacheManager({"directory": str(directory)}) as manager:
        health = manager.health()
        assert conditions(health) == {"l1": "up", "l2": "absent"}
        assert health.tiers[1].reason
        assert health.is_healthy
        assert health.status == "degraded"


class Away:
    """A store that does not answer."""

    async def get(self, name):
        raise TierUnavailable("secret/path is away")


def test_a_store_that_does_not_answer_is_down():
    tier = run_sync(probe(Away(), level=CacheLevel.L2, tier="disk"))
    assert (tier.condition, tier.reason) == (Condition.DOWN, "secret/path is away")
    health = Health((TierHealth(CacheLevel.L1, "memory", Condition.UP), tier))
    assert not health.is_healthy
    assert health.status == "degraded"


def test_reasons_are_not_for_everybody():
    health = Health((run_sync(probe(Away(), level=CacheLevel.L2, tier="disk")),))
    assert "secret" not in str(health.as_dict())
    assert health.as_dict()["tiers"][0]["status"] == "down"
