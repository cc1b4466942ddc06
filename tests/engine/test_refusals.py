"""What is not opened is a miss and counted; tampering is told each time, what is merely unknown once a minute, when it is much."""

import pytest

from caching_core import SyncCacheManager
from caching_core.audit import tail
from caching_core.codec import Refusal, Refused
from caching_core.engine._refusals import MANY, Refusals
from caching_core.events import EntriesUnreadable, EntryRefused, Hooks
from caching_core.serializers import BaseSerializer
from caching_core.testing import ManualClock

UNKNOWN = [Refusal.VERSION, Refusal.SUITE, Refusal.SERIALIZER, Refusal.DICTIONARY, Refusal.SCHEMA, Refusal.VALUE]
SUSPICIOUS = [Refusal.CHECKSUM, Refusal.DOWNGRADE, Refusal.LENGTH, Refusal.METADATA, Refusal.UNKNOWN_KEY]


@pytest.fixture
def told():
    return []


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def meet(told, clock):
    """Meet so many frames that are refused for a reason."""
    hooks = Hooks()
    hooks.subscribe(told.append)
    refusals = Refusals(hooks, clock.now)

    def run(reason, times):
        for number in range(times):
            refusals.note(Refused(reason), tenant="acme", namespace="default", key=f"k{number}")

    return run


def test_tampering_is_told_each_time(meet, told):
    meet(Refusal.TAG, 300)
    assert told == [EntryRefused("acme", "default", f"k{number}", "tag") for number in range(300)]


@pytest.mark.parametrize("reason", UNKNOWN)
def test_what_is_unknown_is_told_once_a_minute_when_it_is_much(meet, told, clock, reason):
    meet(reason, MANY - 1)
    assert told == []
    meet(reason, 1)
    assert told == [EntriesUnreadable(reason.value, MANY)]
    meet(reason, 5 * MANY)
    assert len(told) == 1
    clock.advance(60)
    meet(reason, MANY)
    assert len(told) == 2


def test_what_is_spread_over_minutes_is_not_much(meet, told, clock):
    for _ in range(5):
        meet(Refusal.SCHEMA, MANY - 1)
        clock.advance(60)
    assert told == []


def test_reasons_are_counted_apart(meet, told):
    for reason in UNKNOWN:
        meet(reason, MANY - 1)
    assert told == []


@pytest.mark.parametrize("reason", SUSPICIOUS)
def test_the_first_of_what_an_attack_can_look_like_is_told_with_its_key(meet, told, clock, reason):
    meet(reason, MANY)
    assert told == [EntryRefused("acme", "default", "k0", reason.value), EntriesUnreadable(reason.value, MANY)]
    clock.advance(60)
    meet(reason, 1)
    assert told[2:] == [EntryRefused("acme", "default", "k0", reason.value)]


class Text(BaseSerializer):
    def serialize(self, obj):
        return str(obj).encode()

    def deserialize(self, data):
        return data.decode()


def test_reads_of_a_value_that_is_not_known_here_write_one_record(tmp_path):
    with SyncCacheManager({"directory": tmp_path / "cache"}) as writer:
        writer.register_serializer("text", Text())
        writer.tenant("acme").set("k", "value", serializer="text")
    with SyncCacheManager({"directory": tmp_path / "cache"}) as reader:
        cache = reader.tenant("acme")
        assert [cache.get("k") for _ in range(150)] == [None] * 150
        assert cache.get_many(["k"]) == {}
        assert reader.stats().refused == 151
        assert reader.flush_audit()
    records = [record for record in tail(tmp_path / "cache", 1000) if record.cls == "SECURITY"]
    assert [(record.action, record.detail["reason"], record.count) for record in records] == [("entries_unreadable", "serializer", MANY)]
