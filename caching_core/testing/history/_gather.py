"""Histories of many processes, sorted into what the checker asks for: reads, writes and acknowledgements per key."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from caching_core.testing.history._record import Kind, Scope, read_history

LIFE: Final = 100_000
_FOUND: Final = {0: False, 1: True}
ENDLESS: Final = 1 << 63  # when an endless lifetime is over, and when a call that never returned may still take effect

Read = tuple[int, int, int, int, int, int, int]


class Touch(NamedTuple):
    """A call that kept a value until ``limit``, if it ``found`` one; None where that is not known."""

    begin: int
    end: int
    limit: int
    found: bool | None


class Turn(NamedTuple):
    """A change or a read of a counter, and how many changes were counted then: 0 for a change that may have happened or not."""

    begin: int
    end: int
    turn: int
    process: int


@dataclass(slots=True)
class KeyEvents:
    """Everything about one key. Times in nanoseconds.

    ``committed`` version -> earliest moment it could be read; ``visible`` version -> moment from which every
    load finds it; ``acks`` (moment, version, process, whether by a group); ``reads`` (begin, end, version, deadline,
    foreign, tier, process); ``invalidations`` (begin, end, process, whether of a group); ``touches`` by their begin
    and process.
    """

    committed: dict[int, int] = field(default_factory=dict[int, int])
    visible: dict[int, int] = field(default_factory=dict[int, int])
    acks: list[tuple[int, int, int, bool]] = field(default_factory=list[tuple[int, int, int, bool]])
    reads: list[Read] = field(default_factory=list[Read])
    invalidations: list[tuple[int, int, int, bool]] = field(default_factory=list[tuple[int, int, int, bool]])
    touches: dict[tuple[int, int], Touch] = field(default_factory=dict[tuple[int, int], Touch])


@dataclass(slots=True)
class CounterEvents:
    """Everything about one counter: ``changes`` by their begin and process; ``resets`` (begin, end)."""

    changes: dict[tuple[int, int], Turn] = field(default_factory=dict[tuple[int, int], Turn])
    reads: list[Turn] = field(default_factory=list[Turn])
    resets: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])


@dataclass(slots=True)
class Histories:
    """The events of all processes by key and by counter, fault windows, and plain counts."""

    keys: dict[int, KeyEvents] = field(default_factory=lambda: defaultdict(KeyEvents))
    counters: dict[int, CounterEvents] = field(default_factory=lambda: defaultdict(CounterEvents))
    faults: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    reads: int = 0
    writes: int = 0
    misses: int = 0
    invalidations: int = 0
    errors: int = 0


def gather(paths: Iterable[Path]) -> Histories:
    """Read histories and settle which versions each invalidation acknowledged."""
    found = Histories()
    members: dict[tuple[int, int], list[int]] = defaultdict(list)
    groups: dict[tuple[int, int, int, int], int] = {}  # scope, name, begin, process -> end
    lives: Counter[int] = Counter()
    for path in paths:
        number, records = read_history(path)
        # Who was killed and started again has forgotten what it had read: another process to the checker.
        process = number + LIFE * lives[number]
        lives[number] += 1
        for record in records:
            begin, end, version, aux, key, flag, detail, kind = record
            if kind == Kind.READ:
                found.keys[key].reads.append((begin, end, version, aux, flag, detail, process))
            elif kind == Kind.WRITE:
                _wrote(found, process, key, version, begin, end, aux)
            elif kind == Kind.INVALIDATION:
                groups[detail, key, begin, process] = end
            elif kind == Kind.MEMBER:
                members[detail, aux].append(key)
            elif kind == Kind.TOUCH:
                # Who called and was killed may have kept the value for ever.
                limit = aux if end and aux else ENDLESS
                found.keys[key].touches[begin, process] = Touch(begin, end or ENDLESS, limit, _FOUND.get(flag))
            elif kind == Kind.CHANGE:
                found.counters[key].changes[begin, process] = Turn(begin, end or ENDLESS, version, process)
            elif kind == Kind.COUNT:
                found.counters[key].reads.append(Turn(begin, end, version, process))
            else:
                _counted(found, kind, begin, end)
    _invalidate(found, groups, members)
    _total(found)
    return found


def _invalidate(found: Histories, groups: dict[tuple[int, int, int, int], int], members: dict[tuple[int, int], list[int]]) -> None:
    found.invalidations = sum(end > 0 for end in groups.values())
    for (scope, name, begin, process), end in groups.items():
        for key in (name,) if scope == Scope.KEY else members[scope, name]:
            if key in found.counters:
                found.counters[key].resets.append((begin, end or ENDLESS))
            elif end:
                found.keys[key].invalidations.append((begin, end, process, scope != Scope.KEY))
    for events in found.keys.values():
        _acknowledge(events)


def _total(found: Histories) -> None:
    for events in found.keys.values():
        found.reads += len(events.reads)
        found.writes += len(events.committed)
    for counter in found.counters.values():
        found.reads += len(counter.reads)
        found.writes += len(counter.changes)


def _counted(found: Histories, kind: int, begin: int, end: int) -> None:
    if kind == Kind.MISS:
        found.misses += 1
    elif kind == Kind.FAULT:
        found.faults.append((begin, end))
    else:
        found.errors += 1


def _wrote(found: Histories, process: int, key: int, version: int, begin: int, acked: int, visible: int) -> None:  # noqa: PLR0917 -- the fields of a record, in its order
    events = found.keys[key]
    events.committed[version] = min(begin, events.committed.get(version, begin))
    if visible or acked:
        seen = visible or acked
        events.visible[version] = min(seen, events.visible.get(version, seen))
    if acked:
        events.acks.append((acked, version, process, False))


def _acknowledge(events: KeyEvents) -> None:
    """Let each invalidation acknowledge, when it returned, the versions that were visible when it began."""
    waiting = sorted((moment, version) for version, moment in events.visible.items())
    highest, at = 0, 0
    for begin, end, process, by_group in sorted(events.invalidations):
        while at < len(waiting) and waiting[at][0] <= begin:
            highest = max(highest, waiting[at][1])
            at += 1
        if highest:
            events.acks.append((end, highest, process, by_group))
