import json
import os
import signal

import pytest

from caching_core.cli import _benchmark as command


def test_benchmark_prints_rows_and_writes_the_report(caching, tmp_path):
    done = caching("benchmark", "--suite", "l1", "--compare", "ref,dict", "--rounds", "1", "--quick", "--output", "out", "--json")
    assert done.code in (0, 1), done.err
    rows = done.data["suites"]["l1"]
    assert {row["peer"] for row in rows} == {"REF", "bare dict"}
    missed = [row for row in rows if row["verdict"] == "misses"]
    assert done.code == (1 if missed else 0)
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == done.data
    page = (tmp_path / "out" / "RESULTS.md").read_text()
    assert "| F1 | L1 hit, shared (str) |" in page
    assert str(tmp_path) not in page + done.out


def test_plain_rows_without_a_terminal(caching):
    done = caching("benchmark", "--suite", "import", "--rounds", "1", "--quick")
    assert done.code in (0, 1), done.err
    lines = [line.split("\t") for line in done.out.splitlines()]
    assert lines[0][:2] == ["target", "what"]
    assert {line[0] for line in lines[1:]} == {"F10"}


def refused_before_it_runs(caching, monkeypatch, *arguments):
    monkeypatch.setattr(command, "run_suites", lambda *given, **named: pytest.fail("measured"))
    refused = caching("benchmark", "--suite", "l1", "--quick", *arguments)
    assert (refused.code, refused.out) == (1, "")
    return refused.err


def test_a_folder_that_cannot_be_is_said_before_anything_is_measured(caching, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert refused_before_it_runs(caching, monkeypatch, "--directory", "file") == "caching: File exists: file\n"
    assert refused_before_it_runs(caching, monkeypatch, "--output", "file/out") == "caching: Not a directory: file/out\n"
    assert "/proc" in refused_before_it_runs(caching, monkeypatch, "--output", "/proc/caching")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_benchmark_that_is_told_to_stop_leaves_nothing(caching, monkeypatch, tmp_path, number):
    def unheard(*_):
        pytest.fail("nobody handled it")

    def stopped(_names, plan, **_):
        assert list((tmp_path / "place").iterdir())
        os.kill(os.getpid(), number)
        pytest.fail("went on")

    monkeypatch.setattr(command, "run_suites", stopped)
    before = signal.signal(number, unheard)
    try:
        assert caching("benchmark", "--directory", "place").code == 128 + number
        assert signal.getsignal(number) is unheard
    finally:
        signal.signal(number, before)
    assert list((tmp_path / "place").iterdir()) == []


def test_unknown_suites_and_peers_are_refused(caching):
    for arguments in (("--suite", "l9"), ("--compare", "memcached")):
        refused = caching("benchmark", *arguments)
        assert refused.code == 2
        assert "choose all" in refused.err
