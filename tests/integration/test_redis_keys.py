"""Hosts that share a server share its keystore: one root per tenant, and what it means to lose it."""

import pytest

from caching_core import SyncCacheManager
from caching_core.errors import NotSupported


@pytest.fixture
def host(tmp_path, on_redis):
    """Make a manager of another host: the same server, a directory of its own. ``host("name", read_only=True)``."""
    made = []

    def make(name, **settings):
        made.append(
            SyncCacheManager({"directory": str(tmp_path / name), "l1_enabled": False, "l1_max_age": 0.05, **on_redis(), **settings})
        )
        return made[-1].start()

    yield make
    for each in made:
        each.close()


@pytest.fixture
def call(valkey_server):
    with valkey_server.connect() as connection:
        yield connection.call


def rows(call):
    return {name: call("HKEYS", name) for name in call("KEYS", "cc:{@0}:keys:*")}


def test_all_hosts_seal_under_one_root(host, call):
    one, two = host("one").tenant("acme"), host("two").tenant("acme")
    one.set("k", 1)
    two.set("l", 2)
    assert two.explain("k").key_id == one.explain("l").key_id
    assert {name: len(ids) for name, ids in rows(call).items()} == {b"cc:{@0}:keys:@fleet": 1, b"cc:{@0}:keys:acme": 1}
    assert one.explain("k").key_id == rows(call)[b"cc:{@0}:keys:acme"][0].hex()


def test_a_host_that_only_reads_makes_no_tenants_key(host, call):
    reader = host("reader", read_only=True)
    assert reader.tenant("acme").get("k") is None
    with pytest.raises(NotSupported):
        reader.tenant("acme").set("k", 1)
    assert list(rows(call)) == [b"cc:{@0}:keys:@fleet"]
    host("writer").tenant("acme").set("k", 1)
    assert reader.tenant("acme").get("k") == 1


def test_after_a_flush_hosts_come_together_under_a_new_root_and_read_nothing_old(host, call, eventually):
    one = host("one").tenant("acme")
    one.set("k", "old")
    old, copy = one.explain("k").key_id, call("DUMP", "cc:{acme}:default:k")
    call("FLUSHALL", "SYNC")
    two = host("two").tenant("acme")  # makes the new root; the first still holds the old one
    two.set("l", "new")
    assert two.explain("l").key_id != old
    call("RESTORE", "cc:{acme}:default:k", 0, copy)
    assert two.get("k") is None  # unknown key: a miss, and it is not deleted
    assert call("EXISTS", "cc:{acme}:default:k") == 1
    eventually(lambda: one.get("l") == "new")
    assert one.get("k") is None
    one.set("m", "of both")
    assert two.get("m") == "of both"
    assert two.explain("m").key_id == two.explain("l").key_id
    assert len(rows(call)[b"cc:{@0}:keys:acme"]) == 1
