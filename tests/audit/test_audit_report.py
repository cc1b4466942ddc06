"""A report counts what stands between two moments, and says whether the chain holds."""

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from caching_core.audit import AuditClass, AuditLog, Outcome, Status, report
from caching_core.errors import AuditUnavailable

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture
def directory(tmp_path):
    place = tmp_path / "audit"
    with AuditLog(place, key=bytes(32)) as log:
        for tenant in ("acme", "acme", "globex"):
            log.record(AuditClass.ADMIN, "clear", Outcome.OK, tenant=tenant)
        log.record(AuditClass.AUTH, "access_refused", Outcome.DENIED, tenant="acme", count=5)
        assert log.flush()
    return place


def test_it_counts_by_kind_and_tenant(directory):
    found = report(directory, since=NOW - DAY, until=NOW + DAY)
    assert found.actions["ADMIN", "clear", "ok"] == 3
    assert found.actions["AUTH", "access_refused", "denied"] == 5
    assert found.tenants["acme"] == 7
    assert found.events == sum(found.actions.values()) == sum(found.tenants.values())
    assert found.records == found.events - 4
    assert found.chain.status is Status.GOOD
    told = found.as_dict()
    assert {"class": "AUTH", "action": "access_refused", "outcome": "denied", "events": 5} in told["actions"]
    assert told["chain"]["status"] == "good"


def test_one_tenant_and_one_stretch_of_time(directory):
    assert report(directory, since=NOW - DAY, until=NOW + DAY, tenant="globex").events == 1
    assert report(directory, since=NOW + DAY, until=NOW + 2 * DAY).events == 0
    naive = (NOW - DAY).replace(tzinfo=None)  # UTC, as the log is
    assert report(directory, since=naive, until=NOW + DAY).events == report(directory, since=NOW - DAY, until=NOW + DAY).events


def test_a_broken_chain_is_told_and_counted_all_the_same(directory):
    with sqlite3.connect(directory / "audit.db") as connection:
        connection.execute("UPDATE records SET body = CAST(replace(CAST(body AS TEXT), 'globex', 'globe_') AS BLOB)")
    connection.close()
    found = report(directory, since=NOW - DAY, until=NOW + DAY)
    assert found.chain.status is Status.TAMPERED
    assert found.tenants["globe_"] == 1
    assert found.as_dict()["chain"]["finding"]


def test_without_a_log_it_says_so(tmp_path):
    with pytest.raises(AuditUnavailable):
        report(tmp_path, since=NOW, until=NOW + DAY)
