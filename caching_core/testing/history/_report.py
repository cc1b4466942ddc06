"""What a check found: violations per invariant, how stale, and examples that can be followed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

CURVE_MS: Final = (0, 1, 5, 10, 50, 100, 500)
INVARIANTS: Final[Mapping[str, str]] = {
    "I1": "fresh: nothing older than what had been acknowledged",
    "I2": "no value from the future or from nowhere",
    "I3": "versions do not fall within a process",
    "I4": "a process sees its own invalidations",
    "I5": "tags and namespaces: as I1, by a group's invalidation alone",
    "I6": "the value is the key's and the tenant's own",
    "I7": "two seconds after the last write only the newest is read",
    "I8": "nothing is read after its hard limit, nor after one that it was given since",
    "I9": "counters: no change is lost, and none counts twice",
    "I10": "counters: a read finds the changes that had returned, and none from before a reset",
}


@dataclass(frozen=True, slots=True)
class CounterExample:
    """A read that should not have been. Times in nanoseconds; ``around`` is what happened to the key before it."""

    invariant: str
    key: int
    process: int
    version: int
    begin: int
    end: int
    why: str
    around: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a check.

    ``violations`` per invariant; ``curve`` X in milliseconds -> reads that were staler than X; ``tiers`` stale
    reads by tier number; ``worst_ms`` the worst staleness; ``run`` what the harness measured beside.
    """

    reads: int
    writes: int
    misses: int
    invalidations: int
    errors: int
    violations: Mapping[str, int]
    curve: Mapping[int, int]
    tiers: Mapping[int, int]
    worst_ms: float
    examples: tuple[CounterExample, ...] = ()
    run: Mapping[str, Any] = field(default_factory=dict[str, Any])  # Any: figures of several kinds

    @property
    def is_clean(self) -> bool:
        """Return whether no invariant was violated and no call raised."""
        return not self.errors and not any(self.violations.values())

    @property
    def smallest_clean_ms(self) -> int | None:
        """Return the smallest X of the curve without a stale read; None if there is none."""
        return next((ms for ms in CURVE_MS if not self.curve[ms]), None)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        return {
            **asdict(self),
            "curve": {str(ms): count for ms, count in self.curve.items()},
            "tiers": {str(tier): count for tier, count in self.tiers.items()},
            "is_clean": self.is_clean,
            "smallest_clean_ms": self.smallest_clean_ms,
        }

    def as_text(self) -> str:
        """Return the report for people."""
        lines = [
            f"{self.reads} reads, {self.misses} misses, {self.writes} writes, {self.invalidations} invalidations, {self.errors} errors",
            *(f"{name:<3} {count:>8}  {INVARIANTS[name]}" for name, count in self.violations.items()),
            "stale reads by X: " + ", ".join(f"{ms} ms {count}" for ms, count in self.curve.items()),
            f"worst staleness {self.worst_ms:.3f} ms; smallest X without one: {self.smallest_clean_ms} ms",
            *(f"{name}: {figure}" for name, figure in self.run.items()),
        ]
        for example in self.examples:
            lines.append(f"{example.invariant} key {example.key}, process {example.process}: {example.why}")
            lines += [f"    {event}" for event in example.around]
        return "\n".join(lines)
