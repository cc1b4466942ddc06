"""Fingerprints, the directory, policies that fit."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caching_core.config import CacheConfig, PolicyBook, fingerprint
from caching_core.errors import ConfigInvalid

HOME = {"HOME": "/home/someone"}


def build(source=None, **environ) -> CacheConfig:
    return CacheConfig.build(source, environ=environ)


def mark(source=None) -> str:
    return fingerprint(build(source), environ=HOME)


def test_equal_configurations_have_equal_fingerprints():
    assert mark({"l1_max_size": 10_000}) == mark() == mark({"l1": {"max_entries": 10_000}, "compression_algorithm": "auto"})
    assert mark({"default_ttl": 300}) == mark({"default_ttl": 300.0})
    assert mark({"directory": "/home/someone/.local/state/caching-suite/default"}) == mark()


DIFFERENT = [
    {},
    {"l1_max_size": 9},
    {"directory": "/x"},
    {"namespace": "x"},
    {"encryption_key": "a"},
    {"encryption_key": "b"},
    {"encryption_key": ["a", "b"]},
    {"redis_url": "redis://u:a@h"},
    {"redis_url": "redis://u:b@h"},
    {"policies": {"a": {"ttl": None}}},
    {"policies": {"a": {}}},
    {"policies": {"a*": {"ttl": 1}, "ab*": {"ttl": 2}}},
    {"policies": {"ab*": {"ttl": 2}, "a*": {"ttl": 1}}},
    {"tenant": "a"},
    {"alerts": {"channels": {"slack": {"url": "a"}}}},
    {"alerts": {"channels": {"slack": {"url": "b"}}}},
    {"default_ttl": None},
]


def test_different_configurations_have_different_fingerprints():
    assert len({mark(source) for source in DIFFERENT}) == len(DIFFERENT)


PROBE = """
import sys, types
core = types.ModuleType("caching_core")
core.__path__ = ["caching_core"]
sys.modules["caching_core"] = core
from caching_core.config import CacheConfig, fingerprint
source = {"encryption_key": "k", "tenants": ["b", "a"], "policies": {"x*": {"ttl": None}, "a": {}}}
print(fingerprint(CacheConfig.build(source, environ={}), environ={"HOME": "/h"}))
"""


def test_a_fingerprint_is_the_same_in_every_process(checkout):
    def run(seed: str) -> str:
        environ = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", PROBE]
        done = subprocess.run(command, cwd=checkout, env=environ, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.strip()

    first = run("1")
    assert len(first) == 32
    assert run("2") == first


@pytest.mark.parametrize(
    ("source", "environ", "expected"),
    [
        ({"directory": "/a"}, {"CACHING_DIRECTORY": "/b"}, "/a"),
        ({}, {"CACHING_DIRECTORY": "/b", "XDG_STATE_HOME": "/x"}, "/b"),
        ({"namespace": "shop"}, {"XDG_STATE_HOME": "/x"}, "/x/caching-suite/shop"),
        ({}, {"XDG_STATE_HOME": "relative", **HOME}, "/home/someone/.local/state/caching-suite/default"),
        ({}, HOME, "/home/someone/.local/state/caching-suite/default"),
        ({"directory": "~/c"}, HOME, "/home/someone/c"),
    ],
)
def test_the_directory_is_found_where_the_design_says(source, environ, expected):
    assert build(source).resolved_directory(environ) == Path(expected)


SERVER = {"redis_url": "redis://localhost/1", "directory": "/a"}


def test_a_cache_over_a_server_has_a_folder_of_its_own_there():
    folder = build(SERVER).host_directory({})
    assert folder.parent == Path("/a")
    assert re.fullmatch(r"shared-[0-9a-f]{8}", folder.name)
    for without in ({"directory": "/a"}, {**SERVER, "cache_levels": 1}, {**SERVER, "l2_enabled": False}):
        assert build(without).host_directory({}) == Path("/a")


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("redis://127.0.0.1:6379/1", True),
        ("redis://:secret@LOCALHOST?db=1", True),
        ("valkeys://user:other@[::1]:6379/1", True),
        ("redis://localhost", False),
        ("redis://localhost/2", False),
        ("redis://localhost:6380/1", False),
        ("redis://elsewhere/1", False),
        ("unix:///localhost?db=1", False),
    ],
)
def test_that_folder_goes_by_server_and_database_and_not_by_how_they_are_written(url, same):
    assert (build({**SERVER, "redis_url": url}).host_directory({}) == build(SERVER).host_directory({})) is same


def test_and_by_the_keystore():
    named = {"crypto": {"keystore": "/keys.db"}}
    assert build({**SERVER, **named}).host_directory({}) != build(SERVER).host_directory({})


def test_a_relative_directory_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert build({"directory": "c"}).resolved_directory(HOME) == tmp_path / "c"
    assert not (tmp_path / "c").exists()


def test_without_a_home_the_error_says_what_to_set(monkeypatch):
    def nowhere():
        raise RuntimeError

    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(ConfigInvalid, match="CACHING_DIRECTORY"):
        build().resolved_directory({})


def book(*names: str) -> PolicyBook:
    return PolicyBook(build({"policies": {name: {"ttl": number} for number, name in enumerate(names)}}).policies)


@pytest.mark.parametrize(
    ("names", "namespace", "key", "ttl"),
    [
        (["page:*"], "n", "page:1", 0),
        (["n", "page:*"], "n", "page:1", 0),
        (["page:*", "n"], "n", "page:1", 0),
        (["other", "n"], "n", "k", 1),
        (["*:x"], "n", "a:x", 0),
        (["a?c"], "n", "abc", 0),
        (["a[b]*"], "n", "a[b]c", 0),
        (["*[b]"], "n", "a[b]", 0),
        (["*"], "n", "with\nnewline", 0),
    ],
)
def test_the_first_policy_that_fits_counts(names, namespace, key, ttl):
    assert book(*names).of(namespace, key).ttl == ttl


@pytest.mark.parametrize(("name", "key"), [("page:*", "xpage:1"), ("a?c", "ac"), ("a[b]*", "abc"), ("page", "page"), ("a.c*", "abc")])
def test_a_policy_that_does_not_fit_leaves_the_defaults(name, key):
    assert book(name).of("n", key).ttl is build({"policies": {"x": {}}}).policies["x"].ttl
    assert not PolicyBook({})


@given(st.text(alphabet="ab*?[]!.", min_size=1, max_size=8), st.text(alphabet="ab[]!.", max_size=8))
def test_globs_match_as_their_definition_says(pattern, key):
    if not set("*?") & set(pattern):
        pattern += "*"

    def fits(rest: str, text: str) -> bool:
        if not rest:
            return not text
        if rest[0] == "*":
            return any(fits(rest[1:], text[start:]) for start in range(len(text) + 1))
        return bool(text) and rest[0] in ("?", text[0]) and fits(rest[1:], text[1:])

    assert (book(pattern).of("n", key).ttl == 0) is fits(pattern, key)


def test_a_hostile_pattern_takes_no_time_to_speak_of():
    assert book("*a" * 60 + "*b").of("n", "a" * 2000).ttl != 0
