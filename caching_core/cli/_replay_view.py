"""Show a running replay: a bar with live figures on a terminal, a line per tenth elsewhere, nothing with ``--json``."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeElapsedColumn

from caching_core.bench import Replay, Trace
from caching_core.insight import CacheStats

_REFRESH_S = 0.2


class ReplayView:
    """Told every few hundred requests; draws five times a second at most."""

    def __init__(self, console: Console, trace: Trace, *, stats: Callable[[], CacheStats], limit: int | None) -> None:
        self._console = console
        self._trace = trace
        self._stats = stats
        self._limit = limit
        self._due = 0.0
        self._tenths = 0

    @contextmanager
    def shown(self) -> Generator[Callable[[Replay], None]]:
        """Yield what to call with the running replay."""
        if not self._console.is_terminal:
            yield self._print
            return
        bar = Progress(BarColumn(bar_width=None), TaskProgressColumn(), TimeElapsedColumn(), expand=True)
        task = bar.add_task("replay", total=1.0)
        with Live(Group(bar), console=self._console, refresh_per_second=5) as live:

            def draw(replay: Replay) -> None:
                now = monotonic()
                if now >= self._due or replay.is_done:
                    self._due = now + _REFRESH_S
                    bar.update(task, completed=1.0 if replay.is_done else self._done(replay.requests))
                    live.update(Group(bar, self._line(replay)))

            yield draw

    def _done(self, requests: int) -> float:
        return min(requests / self._limit, 1.0) if self._limit else self._trace.fraction_read()

    def _print(self, replay: Replay) -> None:
        tenths = int(self._done(replay.requests) * 10)
        if tenths > self._tenths:
            self._tenths = tenths
            self._console.print(f"{tenths * 10} %  {self._line(replay)}", soft_wrap=True)

    def _line(self, replay: Replay) -> str:
        figures, now = replay.figures(), self._stats()
        asked = max(figures.requests, 1)
        return (
            f"{figures.requests:,} requests  L1 {now.hits_l1 / asked:.1%}  L2 {now.hits_l2 / asked:.1%}  "
            f"{figures.median_us:.1f} us median  {figures.mean_us:.1f} us mean  "
            f"{now.l1_entries:,} entries {in_mib(now.l1_bytes)} in L1  {in_mib(now.l2_bytes)} on disk"
        )


def in_mib(size: int | None) -> str:
    """Return a size in MiB with one digit."""
    return f"{(size or 0) / 2**20:,.1f} MiB"
