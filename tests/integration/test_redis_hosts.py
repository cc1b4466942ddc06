"""Hosts that share a server: what one writes the other reads, and a copy of what the other changed is served for a bounded time."""

from base64 import b64encode

import pytest

from caching_core import CacheLevel, SyncCacheManager
from caching_core.errors import ConfigInvalid, KeyUnavailable
from caching_core.testing.history import Plan, run

LONG = 3600.0


@pytest.fixture
def host(tmp_path, on_redis):
    """Make a manager of another host: the same server, a directory of its own. ``host("name", l1_max_age=…)``."""
    made = []

    def make(name, **settings):
        made.append(SyncCacheManager({"directory": str(tmp_path / name), **on_redis(), **settings}))
        return made[-1].tenant("acme")

    yield make
    for each in made:
        each.close()


@pytest.fixture
def pair(host):
    """Two hosts whose copies live as long as their entries."""
    return host("one", l1_max_age=LONG), host("two", l1_max_age=LONG)


def test_what_one_writes_the_other_reads(pair):
    one, two = pair
    one.set("k", {"a": [1]}, tags=["t"])
    assert two.get("k") == {"a": [1]}
    two.set("k", "newer")
    assert one.get("k") == "newer"


def test_another_tenant_reads_nothing_of_it(host, tmp_path, on_redis):
    host("one").set("k", 1)
    with SyncCacheManager({"directory": str(tmp_path / "two"), **on_redis()}) as manager:
        assert manager.tenant("other").get("k") is None


def test_a_copy_ends_after_its_time_and_not_before(host, eventually):
    one, two = host("one"), host("two", l1_max_age=0.4)
    one.set("k", 1)
    assert two.get("k") == 1
    one.set("k", 2)
    assert two.explain("k").level is CacheLevel.L1
    eventually(lambda: two.get("k") == 2)


@pytest.mark.parametrize("how", ["tag", "namespace"])
def test_so_does_the_copy_of_a_ledger(how, host, eventually):
    one, two = host("one"), host("two", l1_max_age=0.4, l1_enabled=False)
    one.set("k", 1, tags=["t"])
    assert two.get("k") == 1
    one.invalidate_tags("t") if how == "tag" else one.clear()
    eventually(lambda: two.get("k") is None)


def test_an_entry_is_not_served_longer_than_the_ledger_that_vouches_for_it(host, eventually):
    one, two = host("one"), host("two", l1_max_age=0.4)
    one.set("k", 1, tags=["t"])
    one.set("other", 1, tags=["t"])
    assert two.get("other") == 1  # brings the ledger
    one.invalidate_tags("t")
    eventually(lambda: two.get("other") is None)  # by now nothing that was read under that ledger may be served
    assert two.get("k") is None


def test_a_change_in_place_is_atomic_between_hosts(pair):
    one, two = pair
    one.set("n", 0)
    for each in (one, two, two, one):
        each.incr("n")
    assert one.get("n") == two.get("n") == 4


def test_one_host_loads_for_both(pair):
    one, two = pair
    loads = []
    for each in (one, two):
        assert each.get_or_set("k", lambda: loads.append(1) or "loaded", tags=["t"]) == "loaded"
    assert loads == [1]


def test_clear_all_reaches_the_server(host, tmp_path, on_redis):
    two = host("two", l1_enabled=False, l1_max_age=0.05)
    with SyncCacheManager({"directory": str(tmp_path / "one"), **on_redis()}) as manager:
        manager.tenant("acme").set("k", 1)
        assert two.get("k") == 1
        manager.clear_all()
        assert manager.tenant("acme").get("k") is None
    with SyncCacheManager({"directory": str(tmp_path / "three"), **on_redis()}) as manager:
        assert manager.tenant("acme").get("k") is None


def test_a_server_that_was_emptied_is_a_miss(pair, valkey_server):
    one, _ = pair
    one.set("k", 1, tags=["t"])
    with valkey_server.connect() as connection:
        connection.call("FLUSHALL", "SYNC")
    assert one.get("k") is None
    one.set("k", 2)
    assert one.get("k") == 2


def test_a_host_with_another_key_is_told(pair, host):
    pair[0].set("k", 1)
    with pytest.raises(KeyUnavailable):
        host("three", encryption_key=b64encode(bytes(32)).decode(), strict=True).set("k", 1)


def test_without_a_key_it_says_how_to_make_one(tmp_path, valkey_server):
    manager = SyncCacheManager({"directory": str(tmp_path), "redis_url": valkey_server.url.reveal()})
    with pytest.raises(ConfigInvalid, match="caching keystore new-key"):
        manager.start()


def test_processes_of_a_host_read_nothing_stale(tmp_path, on_redis):
    report = run(Plan(str(tmp_path), operations=8_000, seed=4, config={**on_redis(), "strict": True}))
    assert report.is_clean, report.as_text()
    assert report.run["worker_errors"] == []


def test_a_new_epoch_is_learnt_from_the_first_entry_that_bears_it(pair, host, valkey_server):
    one, two = pair
    one.set("k", 1)
    assert two.get("k") == 1
    with valkey_server.connect() as connection:
        connection.call("DEL", "cc:{@0}:led:acme")  # evicted, or lost with a failover
    host("three", l1_max_age=LONG).set("new", 2)
    assert two.get("new") == 2
    assert two.get("k") is None


@pytest.mark.parametrize("sealed", [True, False])
def test_a_read_below_memory_is_one_trip(sealed, host, valkey_server):
    cache = host("one", l1_enabled=False, l1_max_age=LONG, security_enabled=sealed)
    cache.set("plain", 1)
    cache.set("tagged", 2, tags=["t"])
    assert (cache.get("plain"), cache.get("tagged")) == (1, 2)  # brings what the process keeps of the ledger
    with valkey_server.connect() as connection:
        for read, found in (
            (lambda: cache.get("plain"), 1),
            (lambda: cache.get("tagged"), 2),
            (lambda: cache.get("nothing"), None),
            (lambda: cache.get_or_set("tagged", lambda: 3), 2),
        ):
            connection.call("CONFIG", "RESETSTAT")
            assert read() == found
            told = connection.call("INFO", "commandstats").decode().splitlines()
            calls = {line.split(":")[0]: line.split("calls=")[1].split(",")[0] for line in told if "calls=" in line}
            assert {name: count for name, count in calls.items() if not name.startswith(("cmdstat_config", "cmdstat_info"))} == {
                "cmdstat_get": "1"
            }
