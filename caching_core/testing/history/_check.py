"""The stale-read checker: what the reads of all processes may have returned, given what was acknowledged when.

Per key the acknowledgements are sorted and their versions' prefix maximum is taken; each read is then one
bisection: O((R + W) log W) in all.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from caching_core.testing.history._acks import Acks
from caching_core.testing.history._counters import Counter
from caching_core.testing.history._gather import CounterEvents, Histories, KeyEvents, Read, gather
from caching_core.testing.history._lifetimes import Lifetimes
from caching_core.testing.history._report import CURVE_MS, INVARIANTS, CounterExample, Report

_SETTLE_NS: Final = 2_000_000_000
_MOST_EXAMPLES: Final = 20
_FOREIGN: Final = 1
_AROUND: Final = 4


def check(paths: Iterable[Path], *, single_session: bool = True) -> Report:
    """Check the histories of a run. ``single_session=False`` leaves out I3, for caches that promise no monotone reads."""
    return check_histories(gather(paths), single_session=single_session)


def check_histories(found: Histories, *, single_session: bool = True) -> Report:
    """Check gathered histories."""
    checker = _Checker(found)
    for key, events in found.keys.items():
        checker.check_key(key, events, single_session=single_session)
    for key, counter in found.counters.items():
        checker.check_counter(key, counter)
    return checker.report()


class _Checker:
    __slots__ = ("_counts", "_examples", "_faults", "_found", "_key", "_stale", "_tiers")

    def __init__(self, found: Histories) -> None:
        self._found = found
        self._counts: dict[str, int] = dict.fromkeys(INVARIANTS, 0)
        self._stale: list[int] = []
        self._tiers: dict[int, int] = {}
        self._examples: list[CounterExample] = []
        self._faults = sorted(found.faults)

    def check_key(self, key: int, events: KeyEvents, *, single_session: bool) -> None:
        """Check all reads of one key."""
        self._freshness(key, events)
        self._own_invalidations(key, events)
        self._values(key, events)
        self._liveness(key, events)
        if single_session:
            self._sessions(key, events)

    def _freshness(self, key: int, events: KeyEvents) -> None:
        acks = Acks((moment, version) for moment, version, _, _ in events.acks)
        if not acks.moments:
            return
        direct = Acks((moment, version) for moment, version, _, by_group in events.acks if not by_group)
        for read in events.reads:
            begin, version, tier = read[0], read[2], read[5]
            needed = acks.at(begin)
            if version >= needed:
                continue
            self._counts["I1"] += 1
            # Known to be old by a tag or a namespace alone: the ledger's part of the promise.
            self._counts["I5"] += direct.at(begin) <= version
            self._tiers[tier] = self._tiers.get(tier, 0) + 1
            staleness = begin - acks.since(version)
            self._stale.append(staleness)
            self._example("I1", key, events, read, f"version {version}, but {needed} was acknowledged; {staleness / 1e6:.3f} ms stale")

    def _own_invalidations(self, key: int, events: KeyEvents) -> None:
        own: dict[int, list[tuple[int, int]]] = {}
        for moment, version, process, _ in events.acks:
            own.setdefault(process, []).append((moment, version))
        by_process = {process: Acks(acks) for process, acks in own.items()}
        for read in events.reads:
            acks = by_process.get(read[6])
            if acks is not None and read[2] < acks.at(read[0]):
                self._counts["I4"] += 1
                self._example("I4", key, events, read, f"version {read[2]}, but this process had acknowledged {acks.at(read[0])}")

    def _values(self, key: int, events: KeyEvents) -> None:
        lifetimes = Lifetimes(events)
        for read in events.reads:
            begin, end, version, _, flag = read[:5]
            committed = events.committed.get(version, None if version else 0)  # version 0 is what there was before
            if flag & _FOREIGN:
                self._counts["I6"] += 1
                self._example("I6", key, events, read, "the value is another key's or tenant's")
            elif committed is None or committed > end:
                self._counts["I2"] += 1
                self._example("I2", key, events, read, f"version {version} was never written, or later")
            limit = lifetimes.limit(read)
            if begin > limit:
                self._counts["I8"] += 1
                self._example("I8", key, events, read, f"read {(begin - limit) / 1e6:.3f} ms after its hard limit")

    def _sessions(self, key: int, events: KeyEvents) -> None:
        sessions: dict[int, list[Read]] = {}
        for read in events.reads:
            sessions.setdefault(read[6], []).append(read)
        for reads in sessions.values():
            seen = Acks((read[1], read[2]) for read in reads)  # a read had returned its version at its end
            for read in reads:
                before = seen.at(read[0] - 1)
                if read[2] < before and not self._was_faulty(seen.since(read[2]), read[1]):
                    self._counts["I3"] += 1
                    self._example("I3", key, events, read, f"version {read[2]} after this process had read {before}")

    def _was_faulty(self, begin: int, end: int) -> bool:
        return any(start <= end and begin <= stop for start, stop in self._faults)

    def _liveness(self, key: int, events: KeyEvents) -> None:
        """After the last acknowledged write the newest version is found, and nothing older once two seconds are over."""
        if not events.acks or not events.reads:
            return
        newest = max(ack[1] for ack in events.acks)
        settled = min(ack[0] for ack in events.acks if ack[1] == newest) + _SETTLE_NS
        late = [read for read in events.reads if read[0] > settled]
        if not late:
            return
        old = next((read for read in late if read[2] < newest), None)
        if old is not None:
            self._counts["I7"] += 1
            self._example("I7", key, events, old, f"version {old[2]} more than 2 s after {newest} was acknowledged")

    def check_counter(self, key: int, events: CounterEvents) -> None:
        """Check all changes and reads of one counter."""
        counter = Counter(events, faults=self._faults)
        for invariant, wrong in (("I9", counter.wrong_changes()), ("I10", counter.wrong_reads())):
            for (begin, end, turn, process), why in wrong:
                self._counts[invariant] += 1
                self._keep(CounterExample(invariant, key, process, turn, begin, end, why), events)

    def _example(self, invariant: str, key: int, events: KeyEvents, read: Read, why: str) -> None:
        self._keep(CounterExample(invariant, key, process=read[6], version=read[2], begin=read[0], end=read[1], why=why), events)

    def _keep(self, example: CounterExample, events: KeyEvents | CounterEvents) -> None:
        if len(self._examples) < _MOST_EXAMPLES:
            lines = _of_key(events) if isinstance(events, KeyEvents) else _of_counter(events)
            self._examples.append(replace(example, around=_around(lines, example)))

    def report(self) -> Report:
        """Return what was found."""
        stale = sorted(self._stale)
        curve = {ms: len(stale) - bisect_left(stale, ms * 1_000_000) for ms in CURVE_MS}
        found = self._found
        return Report(
            reads=found.reads, writes=found.writes, misses=found.misses, invalidations=found.invalidations, errors=found.errors,
            violations=self._counts, curve=curve, tiers=self._tiers, worst_ms=stale[-1] / 1e6 if stale else 0.0,
            examples=tuple(self._examples),
        )  # fmt: skip


def _around(lines: Iterable[tuple[int, str]], example: CounterExample) -> tuple[str, ...]:
    """Tell what happened just before a read, in order."""
    before = sorted((moment, text) for moment, text in lines if moment <= example.end)
    return tuple(f"{(moment - example.begin) / 1e6:+.3f} ms: {text}" for moment, text in before[-_AROUND * 2 :])


def _of_key(events: KeyEvents) -> Iterator[tuple[int, str]]:
    yield from ((moment, f"acknowledged {version} by process {process}") for moment, version, process, _ in events.acks)
    yield from ((moment, f"committed {version}") for version, moment in events.committed.items())
    yield from ((begin, f"read {version} by process {process}") for begin, _, version, _, _, _, process in events.reads)
    yield from ((touch.begin, f"touched by process {process}") for (_, process), touch in events.touches.items())


def _of_counter(events: CounterEvents) -> Iterator[tuple[int, str]]:
    yield from ((change.end, f"changed, turn {change.turn}, by process {change.process}") for change in events.changes.values())
    yield from ((read.begin, f"read turn {read.turn} by process {read.process}") for read in events.reads)
    yield from ((moment, "reset begun") for moment, _ in events.resets)
    yield from ((moment, "reset acknowledged") for _, moment in events.resets)
