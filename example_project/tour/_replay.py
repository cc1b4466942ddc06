"""The session workload over all processes of the crew, with live figures."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table

from example_project.tour._crew import Crew
from example_project.tour._workload import TENANTS

BATCH = 500


@dataclass(slots=True)
class Figures:
    """What the replay has come to: sums over the processes."""

    requests: int = 0
    nanoseconds: int = 0
    loads: int = 0
    hits_l1: int = 0
    hits_l2: int = 0
    entries: int = 0
    seconds: float = 0.0

    @property
    def per_request(self) -> float:
        """Mean microseconds that a request spent in the cache, the loader not counted."""
        return self.nanoseconds / max(1, self.requests) / 1000

    @property
    def rate(self) -> float:
        """Requests a second over all processes, the trips of the supervisor included."""
        return self.requests / max(1e-9, self.seconds)

    def share(self, count: int) -> float:
        """Return ``count`` in percent of the requests."""
        return 100 * count / max(1, self.requests)

    def line(self) -> str:
        """Return the figures in one line."""
        all_hits, first, second = (f"{self.share(count):.1f}" for count in (self.requests - self.loads, self.hits_l1, self.hits_l2))
        ratios = f"hit ratio {all_hits} % (L1 {first}, L2 {second})"
        return f"{self.requests:,} requests, {ratios}, {self.per_request:.1f} us per request, {self.rate:,.0f}/s"

    def table(self, processes: int) -> Table:
        """Return the figures as a table."""
        table = Table(title=f"session workload, {processes} processes, {len(TENANTS)} tenants", title_justify="left")
        for head in ("requests", "hit ratio", "L1", "L2", "loads", "us/request", "req/s", "L1 entries"):
            table.add_column(head, justify="right")
        table.add_row(
            f"{self.requests:,}",
            f"{self.share(self.requests - self.loads):.1f} %",
            f"{self.share(self.hits_l1):.1f} %",
            f"{self.share(self.hits_l2):.1f} %",
            f"{self.loads:,}",
            f"{self.per_request:.1f}",
            f"{self.rate:,.0f}",
            f"{self.entries:,}",
        )
        return table


def replay(crew: Crew, console: Console, going_on: Callable[[], bool]) -> Figures:
    """Send requests through every process, batch by batch, while ``going_on`` says so; return the figures."""
    figures = Figures()
    base = crew.all("stats", [{}] * len(crew.members))
    orders = [{"seed": seed, "requests": BATCH, "tenants": TENANTS} for seed in range(len(crew.members))]
    begun = time.monotonic()
    # Where nobody watches, a table drawn over and over is noise.
    with Live(console=console, refresh_per_second=4) if console.is_terminal else nullcontext() as live:
        while going_on():
            for answer in crew.all("replay", orders):
                figures.requests += BATCH
                figures.nanoseconds += answer["ns"]
                figures.loads += answer["loads"]
            now = crew.all("stats", [{}] * len(crew.members))
            figures.hits_l1 = sum(after["hits_l1"] - before["hits_l1"] for after, before in zip(now, base, strict=True))
            figures.hits_l2 = sum(after["hits_l2"] - before["hits_l2"] for after, before in zip(now, base, strict=True))
            figures.entries = sum(after["l1_entries"] for after in now)
            figures.seconds = time.monotonic() - begun
            if live is not None:
                live.update(figures.table(len(crew.members)))
    return figures
