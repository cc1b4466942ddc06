"""Walk the tour, then keep a live replay going; with --check exit after the tour."""

import argparse
import os
import sys
import time

from rich.console import Console

from example_project.tour._checks import CHECKS
from example_project.tour._crew import CheckFailed, Crew, end_in_order
from example_project.tour._replay import replay

PROCESSES = 4
CHECK_SECONDS = 10.0
NEXT = """
What to try next, in another terminal, while this runs:
  .venv/bin/caching stats  --directory {directory}
  .venv/bin/caching doctor --directory {directory}
  .venv/bin/caching audit tail --directory {directory}
  .venv/bin/caching set hello world --tenant acme --directory {directory}
  .venv/bin/caching get hello --tenant acme --directory {directory}
kill -9 a worker or this process ({pid}): nothing stays behind. Ctrl-C ends the tour.
"""


def walk(crew: Crew, console: Console) -> list[str]:
    """Do every check; return the names of those that failed."""
    failed = []
    for name, check in CHECKS:
        begun = time.monotonic()
        try:
            mark, seen = "PASS", check(crew)
        except CheckFailed as problem:
            mark, seen = "FAIL", str(problem)
            failed.append(name)
        style = "green" if mark == "PASS" else "bold red"
        console.print(f"[{style}]{mark}[/] {name} - ", end="")
        console.print(f"{seen} ({time.monotonic() - begun:.1f} s)", markup=False, highlight=False, soft_wrap=True)
    return failed


def tour(console: Console, *, check_only: bool) -> int:
    """Start the processes, walk, replay; return the exit code."""
    with Crew(PROCESSES) as crew:
        console.print(f"{PROCESSES} processes on {crew.directory}", highlight=False, soft_wrap=True)
        failed = walk(crew, console)
        if check_only:
            limit = time.monotonic() + CHECK_SECONDS
            figures = replay(crew, console, lambda: time.monotonic() < limit)
            console.print(f"replay: {figures.line()}", highlight=False, soft_wrap=True)
        console.print(f"{len(CHECKS) - len(failed)} of {len(CHECKS)} checks passed" + (f"; failed: {', '.join(failed)}" if failed else ""))
        if not check_only:
            stay(crew, console)
        return 1 if failed else 0


def stay(crew: Crew, console: Console) -> None:
    """Say what there is to try and replay until Ctrl-C."""
    console.print(NEXT.format(directory=crew.directory, pid=os.getpid()), highlight=False, soft_wrap=True)
    try:
        replay(crew, console, lambda: True)
    except KeyboardInterrupt:
        console.print("ending")


def main() -> int:
    """Read the command line and run the tour."""
    parser = argparse.ArgumentParser(prog="example_project.tour", description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 0 if every check passed, 1 if not")
    options = parser.parse_args()
    end_in_order()
    console = Console()
    try:
        return tour(console, check_only=options.check)
    except KeyboardInterrupt:
        return 130
    except CheckFailed as problem:
        print(f"the tour stops: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
