"""One opened cache: what it says, what it refuses, what it records."""

import logging
import shutil

import pytest

from caching_core import SyncCacheManager
from caching_core.audit import AuditLog, tail
from caching_core.errors import AuditUnavailable, NotSupported, QuotaExceeded, TierUnavailable
from caching_core.events import ConfigNote, KeysDestroyed
from caching_core.keystore import SqliteKeyStore
from caching_core.runtime import run_sync


@pytest.fixture
def manager(tmp_path):
    """Make managers on one directory; closed at the end."""
    made = []

    def make(**settings):
        made.append(SyncCacheManager({"directory": str(tmp_path / "cache"), **settings}))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def recorded(tmp_path):
    """Return (action, tenant, outcome) of what the audit log has."""
    return lambda: [(record.action, record.tenant, record.outcome) for record in tail(tmp_path / "cache", 1000)]


# -- settings without effect ---------------------------------------------------------------------


def notes(caplog):
    return [record.getMessage() for record in caplog.records if "without effect" in record.getMessage()]


def test_settings_that_do_nothing_yet_are_named_once(manager, caplog):
    given = {
        "outage_grace": 5, "log_shards": 4, "log_max_records": 5000, "on_failover": "soft", "coherence": "ttl", "l1_max_age": 2,
        "resilience": {"failure_threshold": 3}, "auto_optimization": True, "health_check_interval": 30,
        "audit": {"level": "detailed", "include_data_access": True, "retention_days": 3}, "monitoring_enabled": True,
        "alerts": {"channels": {"slack": {"url": "https://example.invalid/secret"}}}, "policies": {"a*": {"coherence": "ttl"}},
    }  # fmt: skip
    manager(**given).start()
    manager(**given).start()
    (note,) = notes(caplog)
    for name in (
        "coherence.outage_grace", "coherence.log_shards", "coherence.log_max_records", "coherence.on_failover", "coherence.mode",
        "l1.max_age",
        "resilience.failure_threshold", "learning.auto_optimization",
        "audit.level", "audit.include_data_access", "audit.retention_days", "alerts.channels", "policies.coherence",
    ):  # fmt: skip
        assert name in note
    assert "resilience.window" not in note
    assert "monitoring.enabled" not in note
    assert "secret" not in note


def test_what_was_not_set_or_asks_for_nothing_is_not_named(manager, caplog):
    manager(ml_predictions=False, coherence="log", monitoring_enabled=False, audit={"level": "basic"}, l1_max_size=5).start()
    assert notes(caplog) == []


def test_an_l1_policy_that_another_runs_for_is_named(manager, caplog):
    manager(l1_policy="lfu").start()
    assert any("s3fifo decides" in record.getMessage() for record in caplog.records)


# -- clear_all -------------------------------------------------------------------------------------


def test_a_read_only_cache_clears_nothing(manager):
    manager().set("k", 1)
    with pytest.raises(NotSupported, match="read_only"):
        manager(read_only=True).clear_all()
    assert manager().get("k") == 1


def test_a_clear_that_fails_is_recorded_as_failed_and_raises_ours(manager, recorded, tmp_path, monkeypatch):
    monkeypatch.setattr("caching_core.coherence._table._LOCK_SECONDS", 0.0)
    cache = manager()
    cache.set("k", 1)
    cache.flush_audit()
    lock = tmp_path / "cache" / "stamps.lock"
    lock.unlink()
    lock.mkdir()  # opening it to write is an OSError
    with pytest.raises(TierUnavailable):
        cache.clear_all()
    lock.rmdir()
    assert cache.flush_audit()
    assert [entry for entry in recorded() if entry[0] == "clear_all"] == [("clear_all", "", "ok"), ("clear_all", "", "error")]
    cache.clear_all()
    assert cache.get("k") is None


def test_nothing_is_cleared_that_cannot_be_recorded(manager, monkeypatch):
    cache = manager()
    cache.set("k", 1)

    def refuse(*_given, **_more):
        raise AuditUnavailable("full")

    monkeypatch.setattr(AuditLog, "record", refuse)
    with pytest.raises(AuditUnavailable):
        cache.clear_all()
    monkeypatch.undo()
    assert cache.get("k") == 1


# -- bounds ------------------------------------------------------------------------------------------


def test_namespaces_are_bounded_and_those_that_are_known_go_on(manager, monkeypatch):
    monkeypatch.setattr("caching_core.engine._scope.MAX_SCOPES", 3)
    cache = manager()
    for name in ("a", "b", "c"):
        assert cache.set("k", name, namespace=name)
    for _ in range(2):
        with pytest.raises(QuotaExceeded, match=r"3 pairs of tenant and namespace.*'d' of 'main'.*into the key"):
            cache.set("k", 1, namespace="d")
    assert [cache.get("k", namespace=name) for name in ("a", "b", "c")] == ["a", "b", "c"]


# -- keys --------------------------------------------------------------------------------------------


def test_each_root_key_that_is_made_is_recorded_once(manager, recorded):
    cache = manager()
    for _ in range(2):
        cache.set("k", 1, tenant_id="acme")
        cache.set("k", 1, tenant_id="umbrella")
        assert cache.flush_audit()
        cache.close()
        cache.start()
    assert sorted(entry[1] for entry in recorded() if entry[0] == "key_made") == ["acme", "umbrella"]


def test_a_destroyed_key_stays_destroyed_when_its_file_comes_back(manager, tmp_path):
    folder = tmp_path / "cache"
    cache = manager()
    cache.set("k", 1, tenant_id="acme")
    instance = cache._instance
    keystore = SqliteKeyStore(folder / "keystore.db")
    shutil.copy(folder / "keystore.db", tmp_path / "backup.db")
    destroyed = tuple(run_sync(keystore.destroy("acme")))
    instance.hooks.emit(KeysDestroyed("acme", destroyed))
    assert cache.flush_audit()
    cache.close()
    (tmp_path / "backup.db").replace(folder / "keystore.db")
    (folder / "keystore.db.destroyed").unlink()
    cache.start()
    assert set(destroyed) <= run_sync(keystore.tombstones())
    assert cache.get("k", tenant_id="acme") is None
    assert cache.set("k", 2, tenant_id="acme")
    assert cache.get("k", tenant_id="acme") == 2
    keystore.close()


def test_a_log_that_cannot_be_read_stops_no_start_and_is_said(manager, tmp_path, caplog):
    cache = manager()
    cache.set("k", 1)
    cache.close()
    with (tmp_path / "cache" / "audit.db").open("r+b") as file:
        file.write(b"no database" * 100)
    with caplog.at_level(logging.WARNING):
        cache.start()
    assert any("not compared" in record.getMessage() for record in caplog.records)
    assert cache.get("k") == 1


def test_an_audit_record_after_close_starts_no_thread(manager, recorded):
    cache = manager().start()
    instance = cache._instance
    cache.close()
    instance.hooks.emit(ConfigNote("late"))
    assert instance.audit.waiting == 0
    assert recorded()[-1][0] == "stopped"
