import sqlite3


def test_a_used_cache_has_a_log_that_verifies(caching):
    assert caching("set", "a", "1").code == 0
    assert caching("clear", "--yes").code == 0
    done = caching("audit", "verify", "--json")
    assert done.code == 0
    assert done.data["status"] == "good"
    assert done.data["records"] > 0
    assert done.data["fault"] is None
    assert "status: good" in caching("audit", "verify", fresh=True).out


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
