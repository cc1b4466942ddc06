"""Command benchmark: our cache beside its peers, in one run."""

import json
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.status import Status

from caching_core.bench import HEADINGS, Report, Row
from caching_core.cli._ending import ending_cleanly
from caching_core.cli._options import Json
from caching_core.cli._output import FINDING, FINE, Output
from caching_core.comparison import PEERS, Plan, choose_peers, choose_suites, run_suites


def benchmark(
    *,
    suite: Annotated[str, typer.Option(help="all, or some of l1,disk,import,memory,growth.")] = "l1,disk",
    compare: Annotated[str, typer.Option(help="all, none, or some of the peers, by name.")] = "all",
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="Rounds; the figures are their medians.")] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes and short turns: a first look, rough figures.")] = False,
    directory: Annotated[
        Path | None, typer.Option("--directory", "-d", help="Put the files under measurement below this folder.", show_default="temporary")
    ] = None,
    output_folder: Annotated[
        Path | None, typer.Option("--output", help="Also write RESULTS.md and results.json there.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> int:
    """Measure the cache beside its peers, in interleaved rounds; exit 1 if a target is missed."""
    output = Output(as_json=as_json)
    names = choose_suites(suite)
    peers = frozenset(peer.name for peer in choose_peers(PEERS, compare))
    for folder in (directory, output_folder):
        if folder is not None:
            _make_ready(folder)
    with (
        ending_cleanly(),
        tempfile.TemporaryDirectory(prefix="caching-benchmark-", dir=directory, ignore_cleanup_errors=True) as place,
        _view(output) as view,
    ):
        if quick:
            plan = Plan.quick(Path(place), peers=peers, say=view.say, rounds=rounds)
        else:
            plan = Plan(Path(place), peers, view.say, rounds=rounds)
        report = run_suites(names, plan, on_row=view.row)
    if output_folder is not None:
        write_report(report, output_folder)
    if as_json:
        output.data(report.as_dict())
    for name, rows in report.suites.items():
        output.table(f"Suite {name}", HEADINGS, [row.cells() for row in rows])
    return FINDING if report.misses() else FINE


def _make_ready(folder: Path) -> None:
    """Make a folder, or raise OSError before hours are spent on what could not be kept there."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def write_report(report: Report, folder: Path) -> None:
    """Write the page and the data, every round included, to a folder that is there."""
    (folder / "RESULTS.md").write_text(report.as_markdown(), encoding="utf-8")
    (folder / "results.json").write_text(json.dumps(report.as_dict(), indent=1) + "\n", encoding="utf-8")


class _View:
    """The step under way and, on a terminal, each row as it is known."""

    def __init__(self, console: Console, status: Status | None) -> None:
        self._console = console
        self._status = status

    def say(self, label: str) -> None:
        if self._status is not None:
            self._status.update(label)

    def row(self, suite: str, row: Row) -> None:
        if self._status is not None:
            self._console.print(f"{suite}  " + "  ".join(row.cells()[1:]), markup=False)


@contextmanager
def _view(output: Output) -> Generator[_View]:
    if output.as_json or not output.notes.is_terminal:
        yield _View(output.notes, None)
        return
    with output.notes.status("starting") as status:
        yield _View(output.notes, status)
