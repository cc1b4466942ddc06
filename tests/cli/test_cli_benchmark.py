import json


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


def test_unknown_suites_and_peers_are_refused(caching):
    for arguments in (("--suite", "l9"), ("--compare", "memcached")):
        refused = caching("benchmark", *arguments)
        assert refused.code == 2
        assert "choose all" in refused.err
