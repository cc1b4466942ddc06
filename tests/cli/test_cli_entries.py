import json
import math
import sqlite3

import pytest

from caching_core import SyncCacheManager


def test_what_is_set_is_got_by_another_process(caching):
    assert caching("set", "user:1", "Ada", fresh=True).code == 0
    got = caching("get", "user:1", fresh=True)
    assert (got.code, got.out) == (0, "Ada\n")
    assert caching("get", "user:1", "--json").data == {"key": "user:1", "found": True, "type": "str", "value": "Ada"}


def test_a_miss_exits_1_and_says_so_on_stderr(caching):
    caching("set", "something", "1")
    missed = caching("get", "nothing")
    assert (missed.code, missed.out) == (1, "")
    assert "miss: nothing" in missed.err
    as_json = caching("get", "nothing", "--json")
    assert as_json.code == 1
    assert as_json.data == {"key": "nothing", "found": False, "type": None, "value": None}


@pytest.mark.parametrize("text", ["null", "false", "0", "1234567", '""', "[1, 2.5]", '{"a": {"b": ["ü"]}}'])
def test_json_values_come_back_equal(caching, text):
    assert caching("set", "k", text, "--json-value").code == 0
    if not text.startswith('"'):
        assert caching("get", "k").out == text + "\n"
    got = caching("get", "k", "--json")
    assert got.code == 0
    assert got.data["value"] == json.loads(text)


def test_tags_and_tenants_and_namespaces_are_honoured(caching):
    caching("set", "k", "one", "--tag", "red", "--tenant", "acme")
    caching("set", "k", "two", "--tenant", "acme", "--namespace", "pages")
    caching("set", "k", "three", "--tenant", "other", "--tag", "red")
    assert caching("invalidate", "red", "--tenant", "acme").code == 0
    assert caching("get", "k", "--tenant", "acme").code == 1
    assert caching("get", "k", "--tenant", "acme", "--namespace", "pages").out == "two\n"
    assert caching("get", "k", "--tenant", "other").out == "three\n"


def test_delete_says_what_was_there(caching):
    caching("set", "a", "1")
    deleted = caching("delete", "a", "b")
    assert (deleted.code, deleted.out) == (0, "deleted a\nnot there: b\n")
    assert caching("get", "a").code == 1


def test_a_dry_run_changes_nothing(caching):
    caching("set", "a", "1", "--tag", "red")
    assert caching("set", "a", "2", "--dry-run").out == "would replace a (str)\n"
    assert caching("set", "b", "2", "--dry-run").out == "would set b (str)\n"
    assert caching("delete", "a", "b", "--dry-run").out == "would delete a\nnot there: b\n"
    assert caching("invalidate", "red", "--dry-run").out == "would invalidate: red\n"
    assert caching("clear", "--dry-run").out == "would clear tenant main, namespace default\n"
    assert caching("get", "a").out == "1\n"
    assert caching("get", "b").code == 1


READING = [
    ("get", "k"),
    ("get", "k", "--json"),
    ("inspect", "k"),
    ("stats",),
    ("set", "k", "1", "--dry-run"),
    ("delete", "k", "--dry-run"),
    ("invalidate", "t", "--dry-run"),
    ("clear", "--dry-run"),
]


@pytest.mark.parametrize("arguments", READING)
@pytest.mark.parametrize("is_made", [False, True], ids=["absent", "empty"])
def test_what_only_looks_makes_no_cache(caching, tmp_path, arguments, is_made):
    if is_made:
        (tmp_path / "cache").mkdir(mode=0o700)
    looked = caching(*arguments)
    assert (looked.code, looked.out) == (1, "")
    assert f"there is no cache in {tmp_path / 'cache'}" in looked.err
    assert [path.name for path in tmp_path.rglob("*")] == (["cache"] if is_made else [])


def test_no_command_makes_a_cache_that_is_read_only(caching, tmp_path):
    (tmp_path / "a.json").write_text('{"read_only": true}')
    for arguments in (("set", "k", "1"), ("delete", "k"), ("invalidate", "t"), ("clear", "--yes")):
        refused = caching(*arguments, "--config", "a.json")
        assert (refused.code, "there is no cache" in refused.err) == (1, True)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("arguments", READING)
def test_what_only_looks_makes_no_key(caching, tmp_path, arguments):
    caching("set", "k", "1")
    whose = () if arguments == ("stats",) else ("--tenant", "nobody-yet")
    looked = caching(*arguments, *whose)
    assert looked.code == (1 if arguments[0] == "get" else 0)
    keystore = sqlite3.connect(tmp_path / "cache" / "keystore.db")
    assert {name for (name,) in keystore.execute("SELECT name FROM keys")} == {"@fleet", "main"}
    keystore.close()
    if arguments[0] == "inspect":
        assert "absent: tenant nobody-yet has no key" in looked.out


def test_clear_asks_and_ends_one_namespace(caching):
    caching("set", "a", "1")
    caching("set", "a", "2", "--namespace", "pages")
    refused = caching("clear")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert caching("get", "a").code == 0
    assert caching("clear", "--yes").code == 0
    assert caching("get", "a").code == 1
    assert caching("get", "a", "--namespace", "pages").code == 0


def test_a_disabled_cache_is_told_of_and_still_invalidates(caching, tmp_path):
    off = {"CACHING_DISABLED": "1"}
    caching("set", "a", "1", "--tag", "red")
    caching("set", "b", "1")
    for arguments in (("set", "b", "2"), ("set", "b", "2", "--dry-run")):
        refused = caching(*arguments, env=off)
        assert (refused.code, refused.out) == (1, "")
        assert "disabled: nothing was changed" in refused.err
    assert caching("set", "b", "2", "--json", env=off).data["set"] is False
    assert caching("get", "b").out == "1\n"
    assert caching("get", "b", env=off).code == 1
    assert caching("delete", "b", env=off).out == "deleted b\n"
    assert caching("invalidate", "red", env=off).code == 0
    assert [caching("get", key).code for key in "ab"] == [1, 1]
    (tmp_path / "file").write_text("in the way")
    for arguments in (("delete", "b"), ("invalidate", "red"), ("clear", "--yes")):
        unheard = caching(*arguments, "--directory", "file", env=off)
        assert unheard.code == 1
        assert "pending" in unheard.out


def test_a_lifetime_ends(caching):
    assert caching("set", "a", "1", "--ttl", "0").code == 0
    assert caching("get", "a").code == 1


def test_a_lifetime_of_none_is_for_ever(caching):
    assert caching("set", "a", "1", "--ttl", "none").code == 0
    assert caching("inspect", "a", "--json").data["ttl"] is None
    assert caching("set", "a", "1", "--ttl", "50").code == 0
    assert 0 < caching("inspect", "a", "--json").data["ttl"] <= 50


def test_what_json_has_no_number_for_is_text_there(caching):
    def refuse(name):
        pytest.fail(f"{name} is no JSON")

    cache = SyncCacheManager().start()
    cache.tenant().set("k", {"list": [math.nan, math.inf, -math.inf, 1.5], "n": math.nan})
    cache.close()
    got = caching("get", "k", "--json")
    assert json.loads(got.out, parse_constant=refuse)["value"] == {"list": ["nan", "inf", "-inf", 1.5], "n": "nan"}
    assert json.loads(caching("get", "k").out, parse_constant=refuse)["n"] == "nan"


@pytest.mark.parametrize("arguments", [("stats",), ("get", "k")])
def test_a_fault_of_the_system_is_told_in_a_line(caching, arguments):
    refused = caching(*arguments, "--directory", "x" * 5000, fresh=True)
    assert refused.code == 1
    assert refused.err.startswith("caching: ")
    assert "File name too long" in refused.err
    assert "Traceback" not in refused.err


def test_inspect_explains_hits_and_misses(caching):
    caching("set", "a", "1", "--tag", "red", "--ttl", "1000")
    found = caching("inspect", "a", "--json").data
    assert found["hit"] is True
    assert found["tags"] == ["red"]
    assert found["sealed"] is True
    missed = caching("inspect", "b")
    assert missed.code == 0
    assert "hit: no" in missed.out


def test_stats_shows_the_store(caching):
    caching("set", "a", "1")
    caching("set", "b", "1", "--tenant", "acme")
    figures = caching("stats", "--json").data
    assert figures["l2_entries"] == figures["tenants_with_keys"] == 2
    assert 0 < figures["l2_bytes"] <= figures["l2_stored_bytes"] <= figures["l2_max_bytes"]
    assert (figures["l2_evicted"], figures["l2_expired"]) == (0, 0)
    assert "l2_entries: 2" in caching("stats").out


def test_stats_shows_nothing_that_no_command_can_know(caching):
    caching("set", "a", "1")
    caching("get", "a")
    shown = caching("stats", "--json").data
    own = {
        "hits",
        "hits_l1",
        "hits_l2",
        "misses",
        "hit_ratio",
        "loads",
        "sets",
        "deletes",
        "l1_entries",
        "l1_bytes",
        "l1_evicted",
        "tenants",
    }
    assert not own & set(shown)
    assert "metrics" in caching("stats", "--help").out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("get",), "Missing argument"),
        (("frobnicate",), "No such command"),
        (("set", "a", "1", "--ttl", "-1"), "ttl must be from 0"),
        (("set", "a", "1", "--ttl", "nan"), "ttl must be from 0"),
        (("set", "a", "1", "--ttl", "inf"), "ttl must be from 0"),
        (("set", "a", "1", "--ttl", "soon"), "takes a number of seconds, or none"),
        (("set", "a", "{", "--json-value"), "VALUE is no JSON"),
        (("set", "a", "1", "--tag", "@all"), "tag may not start with '@'"),
        (("get", "k" * 5000), "key"),
        (("get", ""), "key"),
        (("get", "k", "--tenant", "Bad Tenant"), "is not a tenant id"),
        (("get", "k", "--namespace", "@own"), "namespace may not start with '@'"),
        (("get", "k", "--config", "none.json"), "none.json does not exist"),
    ],
)
def test_wrong_usage_exits_2_and_says_why(caching, arguments, says):
    refused = caching(*arguments, fresh=arguments[0] == "frobnicate")
    assert refused.code == 2
    assert refused.out == ""
    assert says in " ".join(refused.err.split())
    assert "Traceback" not in refused.err


def test_settings_come_from_a_file_and_options_win(caching, tmp_path):
    (tmp_path / "a.toml").write_text('namespace = "shop"\ntenants = ["acme", "other"]\n')
    (tmp_path / "a.json").write_text('{"namespace": "shop", "tenant": "acme"}')
    which = caching("get", "k", "--config", "a.toml")
    assert which.code == 2
    assert "acme, other" in which.err
    assert "--tenant" in which.err
    assert caching("set", "k", "v", "--config", "a.toml", "--tenant", "acme").code == 0
    assert caching("get", "k", "--config", "a.json").out == "v\n"
    assert caching("get", "k", "--config", "a.json", "--namespace", "default").code == 1
    assert caching("get", "k", "--config", "a.json", "--directory", "elsewhere").code == 1
    assert caching("get", "k", "--config", "a.toml", "--tenant", "third").code == 2


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.json", '{"l1_max_sise": 5}', "l1_max_size"),
        ("a.json", "{", "is malformed"),
        ("a.toml", "a = = 1", "is malformed"),
        ("a.json", "[1]", "must hold one object"),
        ("a.yaml", "a: 1", "must end in .json or .toml"),
    ],
)
def test_a_bad_settings_file_is_refused(caching, tmp_path, name, text, says):
    (tmp_path / name).write_text(text)
    refused = caching("get", "k", "--config", name)
    assert refused.code == 2
    assert says in refused.err


def test_plain_lines_without_a_terminal_and_no_colours(caching):
    for arguments in (("stats",), ("inspect", "a"), ("doctor",), ("--help",)):
        for env in ({}, {"NO_COLOR": "1"}):
            assert "\x1b" not in caching(*arguments, env=env).out


def test_a_secret_never_reaches_the_output(caching, tmp_path):
    secret = "correct horse battery staple"
    (tmp_path / "a.json").write_text(json.dumps({"encryption_key": secret, "cache_levels": "many"}))
    refused = caching("get", "k", "--config", "a.json")
    assert refused.code == 2
    assert secret not in refused.err + refused.out


@pytest.mark.parametrize("word", ["-h", "--help", "--version"])
def test_what_stands_before_a_command(caching, word):
    told = caching(word)
    assert told.code == 0
    assert ("caching-suite" if word == "--version" else "benchmark") in told.out
