"""A scrape counts what was done, per tenant and level, and stays bounded."""

import threading

import pytest

from caching_core.engine import BOUNDS, Timing
from caching_core.insight import FAMILIES, OTHER

READ = {"operation": "get"}


def work(manager, tenant):
    """Three sets, one of them deleted; an L2 hit, two L1 hits, a miss; a load and a failing one; a tag."""
    cache = manager.tenant(tenant)
    for key in "abc":
        cache.set(key, {"of": tenant}, ttl=60, tags=["t"])
    for _ in range(3):
        cache.get("a")
    cache.get("missing")
    cache.delete("b")
    assert cache.get_or_set("loaded", lambda: 1, ttl=60) == 1
    with pytest.raises(ZeroDivisionError):
        cache.get_or_set("failing", lambda: 1 // 0)
    cache.invalidate_tags("t")


@pytest.fixture
def worked(opened, scraped):
    manager = opened()
    work(manager, "acme")
    return scraped(manager)


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("cache_hits_total", {"level": "l1", **READ}, 2),
        ("cache_hits_total", {"level": "l2", **READ}, 1),
        ("cache_misses_total", {"level": "l1", **READ}, 4),
        ("cache_misses_total", {"level": "l2", **READ}, 3),
        ("cache_operations_total", {"level": "l2", "operation": "set", "status": "success"}, 3),
        ("cache_operations_total", {"level": "l2", "operation": "set", "status": "skipped"}, 0),
        ("cache_operations_total", {"level": "l2", "operation": "delete", "status": "success"}, 1),
        ("cache_operations_total", {"level": "l2", "operation": "invalidate", "status": "success"}, 1),
        ("cache_loads_total", {"status": "success"}, 1),
        ("cache_loads_total", {"status": "error"}, 1),
        ("cache_unavailable_total", {"level": "l2"}, 0),
        ("cache_refused_total", {"level": "l2", "reason": "tampered"}, 0),
        ("cache_hit_ratio_percent", {"level": "l1"}, pytest.approx(100 * 2 / 6)),
        ("cache_hit_ratio_percent", {"level": "l2"}, 25),
        ("cache_evictions_total", {"level": "l1"}, 0),
        ("cache_entries_count", {"level": "l1"}, 2),
    ],
)
def test_a_tenant_has_what_it_did(worked, name, labels, value):
    assert worked.value(name, tenant_id="acme", **labels) == value


def test_every_family_is_in_the_scrape_with_its_kind(worked):
    assert {name: family.type for name, family in worked.families.items()} == {
        family.name.removesuffix("_total"): family.kind.value for family in FAMILIES
    }


def test_the_first_call_of_each_verb_is_timed(worked):
    for operation in ("get", "set", "delete", "invalidate", "load"):
        labels = {"level": "l2", "operation": operation}
        assert worked.value("cache_operation_duration_seconds_count", **labels) >= 1
        assert worked.value("cache_operation_duration_seconds_sum", **labels) > 0
        assert worked.value("cache_operation_duration_seconds_bucket", le="+Inf", **labels) >= 1


def test_one_call_in_64_is_timed(opened, scraped):
    cache = opened().tenant("acme")
    for number in range(640):
        cache.set(f"k{number}", number, ttl=60)
    for number in range(640):
        assert cache.get(f"k{number}") == number
    scrape = scraped(opened())
    assert scrape.value("cache_operation_duration_seconds_count", level="l2", operation="set") == 10
    assert scrape.value("cache_operation_duration_seconds_count", level="l2", operation="get") == 10


def test_a_duration_is_counted_in_its_bucket():
    timing = Timing()
    for seconds in (0.0, BOUNDS[0], BOUNDS[3], 2.0):
        timing.took(seconds)
    assert timing.counts == [2, 0, 0, 1, *[0] * (len(BOUNDS) - 4), 1]
    assert timing.seconds == pytest.approx(2.0 + BOUNDS[0] + BOUNDS[3])


def test_what_is_held_is_shown_per_level(opened, scraped):
    manager = opened()
    cache = manager.tenant("acme")
    for number in range(10):
        cache.set(f"k{number}", "x" * 1000, ttl=60)
        cache.get(f"k{number}")
    scrape = scraped(manager)
    assert scrape.value("cache_entries_count", level="l1", tenant_id="acme") == 10
    assert scrape.value("cache_memory_usage_bytes", level="l1", tenant_id="acme") == manager.stats().l1_bytes
    assert scrape.value("cache_entry_size_bytes", level="l1") == manager.stats().l1_bytes / 10
    assert scrape.value("cache_store_entries", level="l2") == 10
    assert scrape.value("cache_store_bytes", level="l2") > 0


def test_memory_alone_has_no_other_level(opened, scraped):
    manager = opened(cache_levels=1, l1_max_size=5)
    cache = manager.tenant("acme")
    for number in range(8):
        cache.set(f"k{number}", number)
    scrape = scraped(manager)
    assert {dict(labels).get("level", "l1") for _, labels in scrape} == {"l1"}
    assert scrape.value("cache_operations_total", level="l1", tenant_id="acme", operation="set", status="success") == 8
    assert scrape.value("cache_evictions_total", level="l1", tenant_id="acme") == 3


def test_namespaces_of_a_tenant_are_one(opened, scraped):
    manager = opened()
    for namespace in ("one", "two"):
        manager.tenant("acme", namespace=namespace).set("k", 1)
    assert scraped(manager).value("cache_operations_total", level="l2", tenant_id="acme", operation="set", status="success") == 2


def test_the_specification_s_names_begin_with_its_prefix(opened, scraped):
    scrape = scraped(opened(metrics_namespace="spotify_ai"))
    assert scrape.families
    assert [name for name in scrape.families if not name.startswith("spotify_ai_cache_")] == []


def test_without_monitoring_there_is_nothing_to_scrape(opened, scraped):
    manager = opened(monitoring_enabled=False)
    manager.tenant("acme").set("k", 1)
    assert scraped(manager).families == {}
    assert manager.metrics_text().startswith("# monitoring_enabled is false")


def test_tenants_beyond_the_limit_share_one_label(opened, scraped):
    manager = opened(cache_levels=1, l1_max_size=10_000)
    for number in range(300):
        cache = manager.tenant(f"t{number:03}")
        for _ in range(1 + (number >= 200) * 5):
            cache.set("k", number)
            assert cache.get("k") == number
    scrape = scraped(manager)
    labels = {dict(labels)["tenant_id"] for name, labels in scrape if name == "cache_hits_total"}
    assert labels == {OTHER, *(f"t{number:03}" for number in range(200, 300))}
    assert sum(value for (name, _), value in scrape.items() if name == "cache_hits_total") == 200 + 600


def test_no_counter_falls_while_tenants_come(opened, scraped):
    manager = opened(cache_levels=1)
    before = {}
    for turn in range(4):
        for number in range(turn * 40 + 40):
            manager.tenant(f"t{number}").get("k")
        now = {place: value for place, value in scraped(manager).items() if place[0].endswith("_total")}
        assert [place for place, value in before.items() if now[place] < value] == []
        before = now


def test_a_tenant_that_is_called_other_is_among_the_others(opened, scraped):
    manager = opened(cache_levels=1)
    manager.tenant(OTHER).set("k", 1)
    assert scraped(manager).value("cache_entries_count", level="l1", tenant_id=OTHER) == 1


def test_a_refused_entry_and_a_store_that_is_away_are_counted(opened, scraped, tmp_path):
    import sqlite3

    manager = opened(l1_enabled=False)
    cache = manager.tenant("acme")
    cache.set("k", "value", ttl=60)
    (path,) = (tmp_path / "cache").glob("cache-*.db")
    with sqlite3.connect(path) as connection:
        connection.create_function("flipped", 1, lambda frame: frame[:-1] + bytes([frame[-1] ^ 1]))
        connection.execute("UPDATE entries SET frame = flipped(frame)")
    connection.close()
    assert cache.get("k") is None
    scrape = scraped(manager)
    assert scrape.value("cache_refused_total", level="l2", tenant_id="acme", reason="tampered") == 1
    assert scrape.value("cache_misses_total", level="l2", tenant_id="acme", operation="get") == 1


def test_scrapes_beside_traffic_lose_nothing(opened, scraped):
    manager = opened(cache_levels=1)
    rounds, threads = 2000, 4

    def traffic(number):
        cache = manager.tenant(f"t{number % 2}")
        cache.set("k", number)
        for _ in range(rounds):
            assert cache.get("k") is not None

    workers = [threading.Thread(target=traffic, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        scraped(manager)
    for worker in workers:
        worker.join()
    scrape = scraped(manager)
    hits = [scrape.value("cache_hits_total", level="l1", tenant_id=f"t{number}", **READ) for number in range(2)]
    # A read counts with +=: two threads that meet on one entry may count as one, never as more.
    assert all(0.99 * 2 * rounds <= value <= 2 * rounds for value in hits)
