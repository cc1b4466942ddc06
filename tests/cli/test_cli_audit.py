import os
import pwd
import sqlite3
from base64 import b64encode

import pytest

from caching_core.cli._operator import operator


def test_a_used_cache_has_a_log_that_verifies(caching):
    assert caching("set", "a", "1").code == 0
    assert caching("clear", "--yes").code == 0
    done = caching("audit", "verify", "--json")
    assert done.code == 0
    assert done.data["status"] == "good"
    assert done.data["records"] > 0
    assert done.data["fault"] is None
    assert "status: good" in caching("audit", "verify", fresh=True).out


def test_the_log_beside_a_server_is_found_also_while_that_is_away(caching, monkeypatch, valkey_factory):
    server = valkey_factory()
    monkeypatch.setenv("CACHING_REDIS_URL", server.url.reveal())
    monkeypatch.setenv("CACHING_ENCRYPTION_KEYS", b64encode(bytes(range(32))).decode())
    assert caching("clear", "--yes").code == 0
    server.stop()
    assert "clear" in {record["action"] for record in caching("audit", "tail", "--json").data}
    assert caching("audit", "verify", "--json").data["status"] == "good"


def test_tail_shows_the_last_records_oldest_first(caching):
    caching("clear", "--yes")
    records = caching("audit", "tail", "--json").data
    assert [record["seq"] for record in records] == sorted(record["seq"] for record in records)
    assert any(record["cls"] == "ADMIN" for record in records)
    lines = caching("audit", "tail", "--count", "1").out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("seq\ttime\tclass")
    assert lines[1].startswith(f"{records[-1]['seq']}\t20")


def test_an_edited_record_is_found_by_verify_and_doctor(caching, tmp_path):
    caching("clear", "--yes")
    log = sqlite3.connect(tmp_path / "cache" / "audit.db")
    log.execute("UPDATE records SET body = CAST(replace(CAST(body AS TEXT), 'ADMIN', 'SYSTEM') AS BLOB)")
    log.commit()
    log.close()
    done = caching("audit", "verify", "--json")
    assert done.code == 2
    assert done.data["status"] == "tampered"
    assert done.data["fault"] == "edited"
    assert done.data["first_bad_record"] > 0
    doctor = caching("doctor", "--json")
    assert doctor.code == 1
    assert [check["check"] for check in doctor.data["checks"] if check["status"] == "finding"] == ["audit log"]


def test_no_log_is_incomplete_and_cannot_be_read(caching):
    assert caching("audit", "verify", "--json").code == 3
    missing = caching("audit", "tail")
    assert missing.code == 1
    assert "there is no audit log" in missing.err


def test_a_bad_public_key_is_wrong_usage(caching):
    caching("set", "a", "1")
    assert caching("audit", "verify", "--public-key", "xyz").code == 2


@pytest.mark.parametrize("arguments", [("clear", "--yes"), ("clear", "--yes", "--tenant", "acme", "--namespace", "pages")])
def test_the_log_says_who_cleared_what(caching, arguments):
    caching("set", "a", "1")
    assert caching(*arguments).code == 0
    (record,) = (record for record in caching("audit", "tail", "--count", "99", "--json").data if record["action"] == "clear")
    assert (record["cls"], record["actor_type"]) == ("ADMIN", "os-user")
    assert record["actor"]
    assert operator().id not in str(record)  # a keyed hash; the sealed part has it in clear
    lines = [line.split("\t") for line in caching("audit", "tail", "--count", "99").out.splitlines()]
    assert lines[0] == ["seq", "time", "class", "action", "outcome", "tenant", "namespace", "actor", "detail"]
    (shown,) = (line for line in lines if line[3] == "clear")
    assert shown[5:8] == [record["tenant"], record["namespace"], f"os-user:{record['actor'][:12]}"]


def test_a_key_made_on_the_command_line_is_its_users(caching):
    caching("set", "a", "1", "--tenant", "acme")
    made = [record for record in caching("audit", "tail", "--json").data if (record["action"], record["tenant"]) == ("key_made", "acme")]
    assert [record["actor_type"] for record in made] == ["os-user"]


def test_who_is_at_the_command_line(monkeypatch):
    me = operator()
    assert (me.type, me.id) == ("os-user", f"{os.getuid()}:{pwd.getpwuid(os.getuid()).pw_name}")
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    assert operator().id == "4000000"


@pytest.mark.parametrize(
    "arguments",
    [
        ("get", "k"),
        ("set", "k", "1"),
        ("set", "k", "1", "--dry-run"),
        ("delete", "k"),
        ("inspect", "k"),
        ("invalidate", "t"),
        ("clear", "--yes"),
        ("clear", "--dry-run"),
        ("doctor",),
    ],
)
@pytest.mark.parametrize("tenant", ["Not A Tenant", "unlisted"])
def test_a_tenant_that_is_refused_is_written_down(caching, tmp_path, arguments, tenant):
    (tmp_path / "a.json").write_text('{"tenants": ["acme"]}')
    caching("set", "a", "1", "--config", "a.json", "--tenant", "acme")
    refused = caching(*arguments, "--config", "a.json", "--tenant", tenant)
    assert refused.code == (1 if arguments == ("doctor",) else 2)
    rejected = [record for record in caching("audit", "tail", "--count", "99", "--json").data if record["cls"] == "AUTH"]
    assert [(record["action"], record["outcome"], record["actor_type"]) for record in rejected] == [
        ("tenant_rejected", "denied", "os-user")
    ]
    assert tenant not in str(rejected)
