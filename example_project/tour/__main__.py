"""Walk the tour, then keep the site running under traffic; with --check exit after the tour."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TypeVar

from rich.console import Console
from rich.live import Live
from rich.text import Text

from example_project.tour._checks import CHECKS
from example_project.tour._crew import CheckFailed, CheckSkipped, Crew, end_in_order
from example_project.tour._live import traffic
from example_project.tour._site import Site
from example_project.tour._site_checks import SITE_CHECKS

T = TypeVar("T")
PROCESSES = 4
CHECK_SECONDS = 6.0
_STYLES = {"PASS": "green", "SKIP": "yellow", "FAIL": "bold red"}
NEXT = """
  Django   {django}/t/acme/          admin: {django}/admin/ (user admin, password {password})
           {django}/admin/caching/cache/  what the cache does      {django}/admin/caching/audit/  what was recorded
  FastAPI  {api}/docs                {api}/metrics
What to try next, in another terminal, while this runs:
  .venv/bin/caching stats  --config {settings}
  .venv/bin/caching doctor --config {settings}
  .venv/bin/caching audit tail --config {settings}
  .venv/bin/caching get chart --tenant acme --config {settings}
kill -9 a service or this process ({pid}): nothing stays behind. Ctrl-C ends all.
"""


@dataclass(slots=True)
class Outcomes:
    """The names of the checks by how they ended."""

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def line(self, seconds: float) -> str:
        """Return the sum of it."""
        count = len(self.passed) + len(self.failed)
        told = [f"{len(self.passed)} of {count} checks passed in {seconds:.0f} s"]
        told += [f"{word}: {', '.join(names)}" for word, names in (("failed", self.failed), ("skipped", self.skipped)) if names]
        return "; ".join(told)


def walk(checks: Sequence[tuple[str, Callable[[T], str]]], subject: T, console: Console, outcomes: Outcomes) -> None:
    """Do every check and print its line."""
    for name, check in checks:
        begun = time.monotonic()
        try:
            mark, seen = "PASS", check(subject)
            outcomes.passed.append(name)
        except CheckSkipped as reason:
            mark, seen = "SKIP", str(reason)
            outcomes.skipped.append(name)
        except (CheckFailed, OSError) as problem:
            mark, seen = "FAIL", str(problem) or type(problem).__name__
            outcomes.failed.append(name)
        console.print(f"[{_STYLES[mark]}]{mark}[/] {name} - ", end="")
        console.print(f"{seen} ({time.monotonic() - begun:.1f} s)", markup=False, highlight=False, soft_wrap=True)


def tour(console: Console, *, check_only: bool) -> int:
    """Start everything, walk, let listeners come; return the exit code."""
    begun, outcomes = time.monotonic(), Outcomes()
    with Crew(PROCESSES) as crew, Site(crew.scratch("site")) as site:
        # The site's services start while the core is looked at.
        say(console, f"{PROCESSES} processes on {crew.directory}; Django, FastAPI, a Celery worker and beat; {site.remark}")
        walk(CHECKS, crew, console, outcomes)
        crew.dismiss()
        site.wait()
        walk(SITE_CHECKS, site, console, outcomes)
        if check_only:
            walk([("traffic", lambda site: list(traffic(site, CHECK_SECONDS))[-1])], site, console, outcomes)
        say(console, outcomes.line(time.monotonic() - begun))
        if not check_only:
            stay(site, console)
        return 1 if outcomes.failed else 0


def stay(site: Site, console: Console) -> None:
    """Say what there is to look at, and show figures until Ctrl-C."""
    addresses = {"django": site.django.address, "api": site.api.address}
    say(console, NEXT.format(**addresses, password=site.password, settings=site.settings, pid=os.getpid()))
    try:
        # Where nobody watches, a line that is drawn over and over is noise.
        with Live(console=console, refresh_per_second=4) if console.is_terminal else nullcontext() as live:
            for line in traffic(site, None):
                if live is not None:
                    live.update(Text(line))
    except KeyboardInterrupt:
        console.print("ending")


def say(console: Console, text: str) -> None:
    """Print a text as it is."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


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
