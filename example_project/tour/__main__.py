"""Walk the tour, then keep the site running under traffic; with --check exit after the tour."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TypeVar

from rich.console import Console
from rich.live import Live

from example_project.tour._checks import CHECKS
from example_project.tour._crew import CheckFailed, Crew, end_in_order
from example_project.tour._live import traffic
from example_project.tour._site import Site
from example_project.tour._site_checks import SITE_CHECKS

T = TypeVar("T")
PROCESSES = 4
CHECK_SECONDS = 6.0
NEXT = """
  Django   {django}/t/acme/          admin: {django}/admin/ (user admin, password {password})
           {django}/admin/caching/cache/  what the cache does      {django}/admin/caching/audit/  what was recorded
  FastAPI  {api}/docs                {api}/metrics
What to try next, in another terminal, while this runs:
  .venv/bin/caching stats  --directory {directory}
  .venv/bin/caching doctor --directory {directory}
  .venv/bin/caching audit tail --directory {directory}
kill -9 a service or this process ({pid}): nothing stays behind. Ctrl-C ends all.
"""


def walk(checks: Sequence[tuple[str, Callable[[T], str]]], subject: T, console: Console) -> list[str]:
    """Do every check; return the names of those that failed."""
    failed: list[str] = []
    for name, check in checks:
        one(name, lambda check=check: check(subject), console, failed)
    return failed


def one(name: str, check: Callable[[], str], console: Console, failed: list[str]) -> None:
    """Do one check and print its line."""
    begun = time.monotonic()
    try:
        mark, seen = "PASS", check()
    except (CheckFailed, OSError) as problem:
        mark, seen = "FAIL", str(problem) or type(problem).__name__
        failed.append(name)
    style = "green" if mark == "PASS" else "bold red"
    console.print(f"[{style}]{mark}[/] {name} - ", end="")
    console.print(f"{seen} ({time.monotonic() - begun:.1f} s)", markup=False, highlight=False, soft_wrap=True)


def tour(console: Console, *, check_only: bool) -> int:
    """Start everything, walk, let listeners come; return the exit code."""
    begun = time.monotonic()
    with Crew(PROCESSES) as crew, Site(crew.scratch("site")) as site:
        # The site's services start while the core is looked at.
        say(console, f"{PROCESSES} processes on {crew.directory}; Django, FastAPI, a Celery worker and beat; {site.remark}")
        failed = walk(CHECKS, crew, console)
        crew.dismiss()
        site.wait()
        failed += walk(SITE_CHECKS, site, console)
        if check_only:
            one("traffic", lambda: list(traffic(site, CHECK_SECONDS))[-1], console, failed)
        count = len(CHECKS) + len(SITE_CHECKS) + check_only
        took = f" in {time.monotonic() - begun:.0f} s"
        say(console, f"{count - len(failed)} of {count} checks passed{took}" + (f"; failed: {', '.join(failed)}" if failed else ""))
        if not check_only:
            stay(site, console)
        return 1 if failed else 0


def stay(site: Site, console: Console) -> None:
    """Say what there is to look at, and show figures until Ctrl-C."""
    addresses = {"django": site.django.address, "api": site.api.address}
    say(console, NEXT.format(**addresses, password=site.password, directory=site.cache, pid=os.getpid()))
    try:
        # Where nobody watches, a line that is drawn over and over is noise.
        with Live(console=console, refresh_per_second=4) if console.is_terminal else nullcontext() as live:
            for line in traffic(site, None):
                if live is not None:
                    live.update(line)
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
