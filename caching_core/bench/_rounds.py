"""Measure several subjects in interleaved rounds, so that what disturbs one disturbs all."""

import gc
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter
from types import FunctionType
from typing import ParamSpec

P = ParamSpec("P")
_LEAST_FOR_QUARTILES = 2


@dataclass(frozen=True, slots=True)
class Series:
    """One figure per round, in the order of the rounds."""

    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        """Return the middle figure."""
        return median(self.samples)

    @property
    def spread(self) -> float:
        """Return the distance between the quartiles as a fraction of the median."""
        if len(self.samples) < _LEAST_FOR_QUARTILES or not self.median:
            return 0.0
        low, _, high = quantiles(self.samples, n=4, method="inclusive")
        return (high - low) / self.median

    def ratio_to(self, other: "Series") -> float:
        """Return the median of the per-round ratios: both sides of one ratio were measured moments apart."""
        return median(ours / theirs for ours, theirs in zip(self.samples, other.samples, strict=True))


@dataclass(frozen=True, slots=True)
class Subject:
    """One loop to measure: ``run(n)`` does ``n * operations`` operations and nothing else.

    With ``prepare`` each pass is run and timed by itself, after a call of it that is not timed.
    """

    name: str
    run: Callable[[int], None]
    operations: int
    prepare: Callable[[], None] | None = None


def reading(name: str, get: Callable[[str], object], keys: Sequence[str], *, prepare: Callable[[], None] | None = None) -> Subject:
    """Return a subject that reads each of ``keys``, each pass after ``prepare``."""
    loop = _own_code(_read)
    return Subject(name, lambda repeats: loop(range(repeats), keys, get), len(keys), prepare)


def writing(name: str, put: Callable[[str, object], object], keys: Sequence[str], value: object) -> Subject:
    """Return a subject that writes ``value`` under each of ``keys``."""
    loop = _own_code(_write)
    return Subject(name, lambda repeats: loop(range(repeats), keys, put, value), len(keys))


def measure(
    subjects: Sequence[Subject],
    *,
    rounds: int = 5,
    seconds_each: float = 0.05,
    on_round: Callable[[int], None] | None = None,
) -> dict[str, Series]:
    """Return microseconds per operation of each subject, one figure per round, the empty loop subtracted.

    Within a round the subjects take turns, the first place moves on; garbage is collected before
    each turn and not during it. ``seconds_each`` is about how long a turn takes.
    """
    turns = [(subject, _calibrated(subject, seconds_each)) for subject in subjects]
    empty = {subject.name: _empty(subject) for subject in subjects}
    samples: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    for number in range(rounds):
        shift = number % len(turns)
        for subject, repeats in turns[shift:] + turns[:shift]:
            spent = _seconds(subject, repeats) - _seconds(empty[subject.name], repeats)
            samples[subject.name].append(max(spent, 1e-12) / (repeats * subject.operations) * 1e6)
        if on_round is not None:
            on_round(number + 1)
    return {name: Series(tuple(figures)) for name, figures in samples.items()}


def _calibrated(subject: Subject, seconds: float) -> int:
    once = _seconds(subject, 1)  # also warms caches and lets the interpreter specialise the loop
    return max(1, round(seconds / max(once, 1e-9)))


def _seconds(subject: Subject, repeats: int) -> float:
    prepare = subject.prepare
    with _no_collection():
        if prepare is None:
            begin = perf_counter()
            subject.run(repeats)
            return perf_counter() - begin
        spent = 0.0
        for _ in range(repeats):
            prepare()
            begin = perf_counter()
            subject.run(1)
            spent += perf_counter() - begin
        return spent


def _empty(subject: Subject) -> Subject:
    keys = [""] * subject.operations
    loop = _own_code(_idle)
    return Subject(subject.name, lambda repeats: loop(range(repeats), keys), subject.operations)


@contextmanager
def _no_collection() -> Generator[None]:
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _own_code(loop: Callable[P, None]) -> Callable[P, None]:
    # CPython specialises the calls inside a code object for the callee it met: a loop shared by two
    # subjects would be tuned for one of them. A replaced code object starts with fresh caches.
    if not isinstance(loop, FunctionType):
        raise TypeError("a measuring loop is a plain function")
    own: Callable[P, None] = FunctionType(loop.__code__.replace(), loop.__globals__, loop.__name__)
    return own


def _read(repeats: range, keys: Sequence[str], get: Callable[[str], object]) -> None:
    for _ in repeats:
        for key in keys:
            get(key)


def _write(repeats: range, keys: Sequence[str], put: Callable[[str, object], object], value: object) -> None:
    for _ in repeats:
        for key in keys:
            put(key, value)


def _idle(repeats: range, keys: Sequence[str]) -> None:
    for _ in repeats:
        for _key in keys:
            pass
