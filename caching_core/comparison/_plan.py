"""How large a comparison is, and the steps that every suite shares."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from caching_core.bench import Row, Series, Subject, measure
from caching_core.comparison._peer import Peer

OURS = "caching_core"


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes and lengths of a run; ``directory`` is the workspace, removed by who made it.

    ``say`` hears what is being measured, for a progress display.
    """

    directory: Path
    peers: frozenset[str]
    say: Callable[[str], None]
    rounds: int = 5
    seconds_each: float = 0.05
    keys: int = 1000
    reads: int = 10_000
    disk_keys: int = 2000
    growth_sizes: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    overhead_sizes: tuple[int, ...] = (10_000, 20_000, 50_000, 100_000)

    @classmethod
    def quick(cls, directory: Path, *, peers: frozenset[str], say: Callable[[str], None], rounds: int) -> "Plan":
        """Return a plan of seconds instead of minutes, for a first look; its figures are rough."""
        return cls(
            directory,
            peers,
            say,
            rounds=rounds,
            seconds_each=0.005,
            keys=100,
            reads=500,
            disk_keys=120,
            growth_sizes=(100, 1_000),
            overhead_sizes=(1_000, 2_000),
        )

    def measure(self, label: str, subjects: Sequence[Subject]) -> dict[str, Series]:
        """Measure the subjects in this plan's rounds."""
        return measure(
            subjects,
            rounds=self.rounds,
            seconds_each=self.seconds_each,
            on_round=lambda number: self.say(f"{label}: round {number} of {self.rounds}"),
        )

    def rows_beside(
        self,
        peers: Sequence[Peer],
        what: str,
        figures: Mapping[str, Series],
        *,
        ours: str = OURS,
        target: str = "-",
        limits: Mapping[str, float] | None = None,
    ) -> Iterator[Row]:
        """Yield our figure beside each wanted peer's; a peer without a limit is there to compare with."""
        wanted = [peer for peer in peers if peer.name in self.peers]
        for peer in wanted:
            limit = (limits or {}).get(peer.name)
            named = "-" if limit is None else target
            yield Row(named, what, figures[ours], peer=peer.title, theirs=figures.get(peer.name), limit=limit)
        if not wanted:
            yield Row("-", what, figures[ours])
