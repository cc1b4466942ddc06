from base64 import b64encode

import pytest

from caching_core.cli._check import Status
from caching_core.cli._doctor_trip import _coherence, _sealed, _tags


def by_name(ran):
    return {check["check"]: check for check in ran.data["checks"]}


def test_a_sound_cache_has_no_finding(caching):
    done = caching("doctor", "--json")
    assert done.code == 0, done.out
    checks = by_name(done)
    proved = {"configuration", "folder", "disk tier", "keys", "memory tier", "coherence", "tags", "stamps", "audit log", "clock", "space"}
    assert proved <= set(checks)
    assert all(checks[name]["status"] == "ok" for name in proved), done.out
    again = caching("doctor", fresh=True)
    assert again.code == 0
    assert "0 findings" in again.out


def test_doctor_leaves_nothing_behind(caching):
    caching("set", "mine", "1")
    assert caching("doctor").code == 0
    assert caching("get", "mine").out == "1\n"
    assert caching("get", "tagged", "--namespace", "caching-doctor").code == 1


def test_an_open_folder_is_found_with_its_fix(caching, tmp_path):
    assert caching("set", "a", "1").code == 0
    (tmp_path / "cache").chmod(0o755)
    done = caching("doctor", "--json")
    assert done.code == 1
    found = by_name(done)["folder"]
    assert found["status"] == "finding"
    assert found["fix"].startswith("chmod 700")
    (tmp_path / "cache").chmod(0o700)
    assert caching("doctor").code == 0


def test_an_open_file_is_found(caching, tmp_path):
    caching("set", "a", "1")
    (tmp_path / "cache" / "key").chmod(0o644)
    done = caching("doctor", "--json")
    assert done.code == 1
    assert by_name(done)["files"]["seen"].endswith("key")


def test_another_key_in_the_folder_is_found(caching):
    caching("set", "a", "1")
    done = caching("doctor", "--json", env={"CACHING_ENCRYPTION_KEYS": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="})
    assert done.code == 1


def test_a_bad_setting_is_a_finding(caching, tmp_path):
    (tmp_path / "a.json").write_text('{"l1_policy": "fastest"}')
    done = caching("doctor", "--config", "a.json", "--json")
    assert done.code == 1
    assert by_name(done)["configuration"]["status"] == "finding"


@pytest.mark.parametrize(
    ("text", "absent", "present"),
    [
        ('{"cache_levels": 1}', {"disk tier", "folder", "stamps"}, {"memory tier"}),
        ('{"l1_enabled": false}', {"memory tier", "coherence"}, {"disk tier", "tags"}),
        ('{"tenants": ["acme", "other"]}', set(), {"disk tier", "memory tier"}),
        ('{"security_enabled": false}', {"keys"}, {"disk tier"}),
        ('{"read_only": true}', {"disk tier"}, {"round trip"}),
    ],
)
def test_other_set_ups_are_proved_as_far_as_they_go(caching, tmp_path, text, absent, present):
    (tmp_path / "a.json").write_text(text)
    done = caching("doctor", "--config", "a.json", "--json")
    assert done.code == 0, done.out
    assert present <= set(by_name(done))
    assert not absent & set(by_name(done))


def test_the_switch_is_a_finding(caching):
    done = caching("doctor", "--json", env={"CACHING_DISABLED": "1"})
    assert done.code == 1
    assert by_name(done)["switch"]["fix"].startswith("unset CACHING_DISABLED")


class Alone:
    """A cache that shares nothing with the one beside it, and so keeps what was deleted there."""

    def __init__(self):
        self.entries = {}

    def get(self, key):
        return self.entries.get(key)

    def set(self, key, value, **options):
        self.entries[key] = value
        return True

    def delete(self, key):
        self.entries.pop(key, None)

    def invalidate_tags(self, *tags):
        self.entries.clear()


@pytest.mark.parametrize("proof", [_coherence, _tags])
def test_a_cache_that_keeps_the_deleted_is_found(proof):
    assert proof(Alone(), Alone()).status is Status.FINDING
    one = Alone()
    assert proof(one, one).status is Status.OK


def test_a_value_in_clear_is_found(tmp_path):
    marker = b"marker-" + bytes(16).hex().encode()
    (tmp_path / "a.db").write_bytes(b"\0" * (2**20 - 5) + marker + b"\0")
    found = _sealed(tmp_path, marker)
    assert found.status is Status.FINDING
    assert "a.db" in found.seen
    assert _sealed(tmp_path, b"another marker").status is Status.OK


# -- a server ------------------------------------------------------------------------------------


@pytest.fixture
def served(monkeypatch, valkey_factory):
    """Point the commands at a server of the test's own."""
    server = valkey_factory()
    monkeypatch.setenv("CACHING_REDIS_URL", server.url.reveal())
    monkeypatch.setenv("CACHING_ENCRYPTION_KEYS", b64encode(bytes(range(32))).decode())
    return server


def test_a_sound_server_has_no_finding(caching, served):
    done = caching("doctor", "--json")
    assert done.code == 0, done.out
    checks = by_name(done)
    sound = ("server", "round trip", "access", "redis tier", "coherence", "stamps", "audit log")
    assert all(checks[name]["status"] == "ok" for name in sound), done.out
    assert "a value went to the server" in checks["redis tier"]["seen"]


def test_a_server_that_drops_what_must_stay_is_a_finding(caching, served):
    with served.connect() as connection:
        connection.call("CONFIG", "SET", "maxmemory", "200mb")
        connection.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    done = caching("doctor", "--json")
    assert done.code == 1
    found = by_name(done)["eviction"]
    assert found["status"] == "finding"
    assert "volatile-lru" in found["fix"]


def test_a_server_that_is_away_is_a_finding_and_not_an_end(caching, served):
    served.stop()
    done = caching("doctor", "--json")
    assert done.code == 1
    checks = by_name(done)
    assert checks["server"]["status"] == checks["redis tier"]["status"] == "finding"
    assert checks["space"]["status"] == "ok"


def test_stats_count_the_tenants_that_have_keys_in_the_server(caching, served):
    caching("set", "k", "1", "--tenant", "acme")
    assert caching("stats", "--json").data["tenants_with_keys"] == 1
    served.stop()
    assert caching("stats", "--json").data["tenants_with_keys"] is None
