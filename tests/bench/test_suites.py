import subprocess
import sys
from pathlib import Path

import pytest

from caching_core.bench import Verdict
from caching_core.comparison import PEERS, SUITES, Plan, choose_peers, choose_suites, run_suites
from caching_core.comparison._redis_peers import ADDRESS_FILE, REDIS_PEERS
from caching_core.errors import ConfigInvalid

ROOT = Path(__file__).parents[2]
BUILT_IN = frozenset({"ref", "dict", "sqlite", "redis-py"})


@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.is_installed], ids=lambda peer: peer.name)
def test_each_peer_keeps_a_value(peer, tmp_path, request):
    if peer in REDIS_PEERS:
        (tmp_path / ADDRESS_FILE).write_text(request.getfixturevalue("valkey_server").url.reveal(), encoding="utf-8")
    opened = peer.open(tmp_path)
    opened.put("k", {"a": 1})
    assert opened.get("k") == {"a": 1}
    assert opened.get("absent") in (None, opened.get("missing"))
    opened.close()


def test_peers_are_chosen_by_name():
    assert choose_peers(PEERS, "all") == PEERS
    assert choose_peers(PEERS, "none") == ()
    assert [peer.name for peer in choose_peers(PEERS, "ref, dogpile")] == ["dogpile", "ref"]
    for wrong in ("dogpile,memcached", "", ","):
        with pytest.raises(ConfigInvalid, match="choose all, none or some of: dogpile"):
            choose_peers(PEERS, wrong)


def test_suites_are_chosen_by_name():
    assert choose_suites("all") == tuple(SUITES)
    assert choose_suites("disk,l1") == ("l1", "disk")
    with pytest.raises(ConfigInvalid, match="choose all or some of: l1, disk"):
        choose_suites("l4")


def test_nothing_of_a_peer_is_imported_before_it_is_opened():
    peers = "dogpile cachetools cachebox django diskcache"
    code = f"import sys, caching_core.comparison; print([name for name in '{peers}'.split() if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", list(SUITES))
def test_each_suite_runs(name, tmp_path):
    said: list[str] = []
    plan = Plan.quick(tmp_path, peers=BUILT_IN | {"dogpile", "diskcache", "cachetools"}, say=said.append, rounds=2)
    seen: list[str] = []
    report = run_suites((name,), plan, on_row=lambda suite, row: seen.append(row.what))
    rows = report.suites[name]
    assert seen == [row.what for row in rows]
    assert said
    assert all(row.ours.median > 0 for row in rows)
    assert all(row.limit is None or row.target.startswith("F") for row in rows)
    assert any(row.target.startswith("F") for row in rows)
    assert str(tmp_path) not in report.as_markdown()


def test_a_peer_that_is_not_installed_has_a_row(tmp_path, monkeypatch):
    monkeypatch.setattr("caching_core.comparison._peer.find_spec", lambda name: None)
    plan = Plan.quick(tmp_path, peers=frozenset({"dogpile"}), say=lambda _label: None, rounds=1)
    rows = run_suites(("l1",), plan).suites["l1"]
    assert {row.verdict for row in rows} == {Verdict.NOT_INSTALLED}
    assert {row.cells()[4] for row in rows} == {"-"}


def test_without_peers_our_figures_stand_alone(tmp_path):
    plan = Plan.quick(tmp_path, peers=frozenset(), say=lambda _label: None, rounds=1)
    rows = run_suites(("l1",), plan).suites["l1"]
    assert [row.peer for row in rows] == [None] * 6
    assert {row.verdict for row in rows} == {Verdict.NO_TARGET}
