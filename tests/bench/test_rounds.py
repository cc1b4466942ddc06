import gc
import json

import pytest

from caching_core.bench import Report, Row, Series, Subject, Verdict, describe_machine, measure, reading, uniform_keys, writing, zipf_keys


def test_every_operation_is_performed_and_subjects_alternate() -> None:
    order: list[str] = []

    def subject(name: str) -> Subject:
        return Subject(name, lambda repeats: order.extend([name] * repeats), 1)

    series = measure([subject("a"), subject("b")], rounds=3, seconds_each=0.0)
    assert order == ["a", "b", "a", "b", "b", "a", "a", "b"]
    assert [len(figures.samples) for figures in series.values()] == [3, 3]


def test_reading_and_writing_touch_each_key() -> None:
    seen: list[object] = []
    reading("r", seen.append, ["x", "y"]).run(2)
    assert seen == ["x", "y", "x", "y"]
    store: dict[str, object] = {}
    writing("w", store.__setitem__, ["x", "y"], 5).run(1)
    assert store == {"x": 5, "y": 5}


def test_each_loop_has_its_own_code() -> None:
    one, two = (reading(name, str, ["x"]) for name in "ab")
    codes = [subject.run.__closure__ for subject in (one, two)]
    loops = [[cell.cell_contents for cell in closure or () if hasattr(cell.cell_contents, "__code__")] for closure in codes]
    assert loops[0][0].__code__ is not loops[1][0].__code__


def test_collection_is_off_while_measuring_and_on_after() -> None:
    states: list[bool] = []
    measure([Subject("gc", lambda _: states.append(gc.isenabled()), 1)], rounds=1, seconds_each=0)
    assert not any(states)
    assert gc.isenabled()


def test_the_empty_loop_is_subtracted(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(100, 10_000, 100))
    monkeypatch.setattr("caching_core.bench._rounds.perf_counter", lambda: next(ticks))
    figures = measure([reading("steady clock", str, ["x"] * 10)], rounds=2, seconds_each=0.001)["steady clock"]
    assert all(figure < 1e-6 for figure in figures.samples)


def test_ratio_is_the_median_of_the_rounds() -> None:
    assert Series((1.0, 10.0, 3.0)).ratio_to(Series((2.0, 10.0, 4.0))) == 0.75
    assert Series((1.0, 2.0, 3.0, 4.0, 5.0)).spread == pytest.approx(2 / 3)
    assert Series((4.0,)).spread == 0.0


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row("F1", "x", Series((1.0,)), peer="p", theirs=Series((4.0,)), limit=0.35), Verdict.MEETS),
        (Row("F1", "x", Series((2.0,)), peer="p", theirs=Series((4.0,)), limit=0.35), Verdict.MISSES),
        (Row("F1", "x", Series((2.0,)), peer="p", theirs=Series((4.0,))), Verdict.NO_TARGET),
        (Row("F1", "x", Series((2.0,)), peer="p", limit=0.35), Verdict.NOT_INSTALLED),
        (Row("F10", "x", Series((0.1,)), unit="s", limit=0.15), Verdict.MEETS),
        (Row("F10", "x", Series((0.2,)), unit="s", limit=0.15), Verdict.MISSES),
    ],
)
def test_verdicts(row: Row, verdict: Verdict) -> None:
    assert row.verdict is verdict


def test_a_report_has_three_forms() -> None:
    rows = [
        Row("F1", "shared", Series((0.2, 0.2)), peer="dogpile", theirs=Series((0.8, 0.8)), limit=0.35, note="both warm"),
        Row("F1", "nested", Series((2.0, 2.0)), peer="dogpile", theirs=Series((1.0, 1.0)), limit=1.25),
        Row("", "peer | away", Series((2.0, 2.0)), peer="other"),
    ]
    report = Report({"l1": rows}, {"python": "CPython 3.11"}, {"rounds": "2"})
    assert [row.what for row in report.misses()] == ["nested"]
    page = report.as_markdown()
    assert "| F1 | shared | 0.200 us ±0 % | dogpile | 0.800 us ±0 % | 0.25 | 0.35 x | meets |" in page
    assert "peer \\| away" in page
    assert "- shared: both warm" in page
    data = json.loads(json.dumps(report.as_dict()))
    assert data["suites"]["l1"][0]["ratio"] == 0.25
    assert data["suites"]["l1"][2]["verdict"] == "not installed"


def test_the_machine_is_described_without_names() -> None:
    described = describe_machine(["pytest", "no-such-distribution"])
    assert {"processor", "cores", "memory", "system", "python", "sqlite", "pytest"} <= set(described)
    assert "no-such-distribution" not in described
    assert "/" not in "".join(described.values())


def test_workloads_are_seeded_and_shaped() -> None:
    names = [f"k{n}" for n in range(1000)]
    assert zipf_keys(names, 5000) == zipf_keys(names, 5000)
    assert zipf_keys(names, 5000) != zipf_keys(names, 5000, seed=2)
    top = max(map(zipf_keys(names, 20_000).count, names))
    even = max(map(uniform_keys(names, 20_000).count, names))
    assert top > 1500
    assert even < 60
