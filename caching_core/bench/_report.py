"""Rows of a measurement with their targets, and their three forms: plain data, Markdown, verdicts."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from caching_core.bench._rounds import Series


class Verdict(enum.StrEnum):
    """How a row stands to its target."""

    MEETS = "meets"
    MISSES = "misses"
    NO_TARGET = "no target"
    NOT_INSTALLED = "not installed"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of ours, beside a peer's or alone.

    ``limit`` bounds the ratio ours/peer where there is a peer, else our own median. ``theirs`` is None
    for a peer that is not installed.
    """

    target: str
    what: str
    ours: Series
    unit: str = "us"
    peer: str | None = None
    theirs: Series | None = None
    limit: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Return ours / peer, None without a peer's figure."""
        return None if self.theirs is None else self.ours.ratio_to(self.theirs)

    @property
    def verdict(self) -> Verdict:
        """Return whether the target is met."""
        if self.peer is not None and self.theirs is None:
            return Verdict.NOT_INSTALLED
        if self.limit is None:
            return Verdict.NO_TARGET
        measured = self.ours.median if self.theirs is None else self.ours.ratio_to(self.theirs)
        return Verdict.MEETS if measured <= self.limit else Verdict.MISSES

    def as_dict(self) -> dict[str, object]:
        """Return the row as plain data, every round included."""
        return {
            "target": self.target,
            "what": self.what,
            "unit": self.unit,
            "ours": self.ours.median,
            "ours_spread": self.ours.spread,
            "ours_rounds": list(self.ours.samples),
            "peer": self.peer,
            "theirs": self.theirs.median if self.theirs else None,
            "theirs_spread": self.theirs.spread if self.theirs else None,
            "theirs_rounds": list(self.theirs.samples) if self.theirs else None,
            "ratio": self.ratio,
            "limit": self.limit,
            "verdict": self.verdict.value,
            "note": self.note,
        }

    def cells(self) -> tuple[str, ...]:
        """Return the row as short texts, in the order of ``HEADINGS``."""
        return (
            self.target,
            self.what,
            _figure(self.ours, self.unit),
            self.peer or "-",
            _figure(self.theirs, self.unit) if self.theirs else "-",
            "-" if self.ratio is None else f"{self.ratio:.2f}",
            _limit(self),
            self.verdict.value,
        )


HEADINGS = ("target", "what", "ours", "peer", "peer's", "ratio", "at most", "verdict")


@dataclass(frozen=True, slots=True)
class Report:
    """The rows of one run by suite, with the machine and the settings they were measured under."""

    suites: Mapping[str, Sequence[Row]]
    machine: Mapping[str, str]
    settings: Mapping[str, str] = field(default_factory=dict[str, str])

    def misses(self) -> list[Row]:
        """Return the rows that miss their target."""
        return [row for rows in self.suites.values() for row in rows if row.verdict is Verdict.MISSES]

    def as_dict(self) -> dict[str, object]:
        """Return the report as plain data."""
        return {
            "machine": dict(self.machine),
            "settings": dict(self.settings),
            "suites": {name: [row.as_dict() for row in rows] for name, rows in self.suites.items()},
        }

    def as_markdown(self) -> str:
        """Return the report as the page that is committed."""
        lines = ["# Results", "", "Measured by `caching benchmark`; README.md says how to repeat and read it.", ""]
        lines += ["## Machine and settings", ""]
        lines += [f"- {name}: {value}" for name, value in (*self.machine.items(), *self.settings.items())]
        for name, rows in self.suites.items():
            lines += ["", f"## Suite {name}", "", _line(HEADINGS), _line(["---"] * len(HEADINGS))]
            lines += [_line(row.cells()) for row in rows]
            notes = list(dict.fromkeys(f"- {row.what}: {row.note}" for row in rows if row.note))
            lines += ["", *notes] if notes else []
        return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _figure(series: Series, unit: str) -> str:
    return f"{_short(series.median)} {unit} ±{series.spread * 50:.0f} %"


def _limit(row: Row) -> str:
    if row.limit is None:
        return "-"
    return f"{row.limit:g} x" if row.peer is not None else f"{row.limit:g} {row.unit}"


def _short(value: float) -> str:
    # Three significant digits, without an exponent.
    for bound, digits in ((0.1, 4), (1, 3), (10, 2), (100, 1)):
        if abs(value) < bound:
            return f"{value:.{digits}f}"
    return f"{value:.0f}"
