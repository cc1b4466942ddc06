"""Stamps: how every process of a host knows at once that a copy it holds is no longer good.

An invalidation writes a number never used before into the cells of the names it concerns, and last
into the lanes of the keys they may touch. A copy remembers the numbers it saw *before* it was read.
The read compares one lane; only when that moved are the copy's own cells compared.
Order is everything: a cell before its lane when writing, the lane before the cells when reading.
"""

import platform
from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import count, repeat
from pathlib import Path
from time import clock_gettime_ns
from typing import Final
from zlib import crc32

from caching_core.coherence._extra import Extra
from caching_core.coherence._regions import CELL_SHIFT, CELLS, LANE_MASK, LANES, SPREAD, TENANTS_AT, Cells
from caching_core.coherence._scheme import Scheme
from caching_core.coherence._table import CLOCK_BASE, GIVEN_UP, OWNER_GEN, STORE_GEN, Table
from caching_core.coherence._table_file import Terms, anonymous_table, clock_id, dead_table, file_table
from caching_core.errors import TierUnavailable
from caching_core.runtime import Mutex
from caching_core.tiers.memory import Entry

_COUNTER_BITS: Final = 28
_CALLS: Final = 63
_WHOLE_TICKS: Final = ~_CALLS
_STRONGLY_ORDERED: Final = frozenset({"x86_64", "AMD64", "i686", "i386"})
_REPLACED: Final = "the stamp table was replaced by other processes; this one opens it anew within a second, try again"
_FORK_SECONDS: Final = 3.0  # longer than the table's lock is waited for
_Block = tuple[Iterator[float], float]
_NO_NUMBERS: Final[_Block] = (count(1), 0)  # an exhausted block: the next number needs a new prefix
_NO_NUMBER: Final[_Block] = (repeat(float("nan")), float("nan"))  # nothing that is stamped with it holds


class Stamps:
    """The host's stamp table, and this process's right to write fresh numbers into it.

    Thread-safe. ``view`` is the array of cells that the hot path reads.
    Once abandoned (or made so) it never recovers: no capture holds, and the store has no generation.
    """

    __slots__ = (
        "_block",
        "_calls",
        "_clock",
        "_clock_base",
        "_directory",
        "_fence",
        "_held",
        "_mutex",
        "_named",
        "_on_given_up",
        "_on_replaced",
        "_replaced",
        "_secret",
        "_table",
        "_terms",
        "_why_abandoned",
        "view",
    )  # fmt: skip

    def __init__(
        self,
        directory: Path | None,
        *,
        secret: bytes,
        scheme: Scheme = Scheme(),  # noqa: B008 - it is frozen
        replaces: bool = True,
        abandoned: str = "",
        on_replaced: Callable[[], None] | None = None,
        on_given_up: Callable[[], None] | None = None,
    ) -> None:
        """Open the table: of the host in ``directory``, of this process and its forks, or (``abandoned``, and why) none.

        ``replaces`` as of ``file_table``. ``on_replaced`` is called by a check that found another table, ``on_given_up``
        when the table is seen to have been given up by others: then a check is due.
        """
        self._directory = directory
        self._secret = secret
        self._terms = Terms.of(secret, scheme)
        self._why_abandoned = abandoned
        self._on_replaced = on_replaced
        self._on_given_up = on_given_up
        self._mutex = Mutex()
        self._block = _NO_NUMBER if abandoned else _NO_NUMBERS
        self._clock = clock_id()
        self._calls = count()
        self._held = False  # the mutex, across a fork
        # Between any two dependent stores a weakly ordered processor needs a barrier: an uncontended lock round trip.
        self._fence = None if platform.machine() in _STRONGLY_ORDERED else Mutex()
        self._table = self._opened(replaces=replaces)
        self._replaced: list[Table] = []  # tables left behind, of which not everybody has been told
        self._clock_base = self._table.words[CLOCK_BASE]
        self.view = self._table.cells
        # The generation is asked for at every call of the store: its name is made once.
        self._named = (self._table.words, -1, "")

    def _opened(self, *, replaces: bool) -> Table:
        if self._why_abandoned:
            return dead_table()
        return anonymous_table() if self._directory is None else file_table(self._directory, self._terms, replaces=replaces)

    @property
    def is_of_host(self) -> bool:
        """Return whether the table is the host's, so that other processes share it."""
        return self._directory is not None and not self._why_abandoned

    # -- names ---------------------------------------------------------------------------------

    def cells(self, tenant: str, namespace: str) -> Cells:
        """Return the cells of a tenant and namespace."""
        return Cells(tenant, namespace, self._secret)

    def capture(self, cells: Cells, key: str) -> Entry:
        """Start a slot for a value that is yet to be read: what the cells hold now is its stamp.

        Sets lane, seen, mark, guard and extra. Equal numbers are one object wherever that is cheap: a slot costs
        less than the floats that its stamp would be made of.
        """
        view, marks = self.view, cells.marks
        entry = Entry()
        number = crc32(key.encode(), cells.seed) * SPREAD & 0xFFFFFFFF  # as in ``Cells.key``
        at = number & LANE_MASK
        entry.lane = lane = cells.lanes[at]
        seen, known = view[lane], marks[at]  # first: a touch writes the cells, then the lane
        if seen == known:
            entry.seen = known
        else:
            entry.seen = marks[at] = seen
        last, tenant, namespace = cells.last_guard, view[cells.tenant], view[cells.namespace]  # as in ``guard``
        if last[0] == tenant and last[1] == namespace:
            entry.guard = last
        else:
            entry.guard = cells.last_guard = (tenant, namespace)
        entry.mark = view[number >> CELL_SHIFT]
        entry.extra = None
        return entry

    def guard(self, cells: Cells) -> tuple[float, float]:
        """Return the numbers of the tenant's and the namespace's cells, as the same tuple while they stay."""
        view, last = self.view, cells.last_guard
        tenant, namespace = view[cells.tenant], view[cells.namespace]
        if last[0] == tenant and last[1] == namespace:
            return last
        cells.last_guard = fresh = (tenant, namespace)
        return fresh

    def holds(self, cells: Cells, key: str, entry: Entry) -> bool:
        """Tell whether nothing that concerns ``entry`` was invalidated since its capture; renews its lane mark."""
        view = self.view
        lane = view[entry.lane]
        if lane == entry.seen:
            return True
        if (view[cells.tenant], view[cells.namespace]) != entry.guard:
            return False
        extra: Extra | None = entry.extra
        own = view[cells.key(key)[0]]
        mark = entry.mark
        if extra is None:
            if own != mark:
                return False
        elif own != mark[0] or any(view[cell] != number for cell, number in zip(extra.tag_cells, mark[1:], strict=True)):
            return False
        marks, at = cells.marks, entry.lane - cells.tenant - 1
        known = marks[at]  # read once: another thread may put a newer number there, which nothing was held against
        if known == lane:
            entry.seen = known
        else:
            entry.seen = marks[at] = lane
        return True

    # -- touches -------------------------------------------------------------------------------

    def fresh(self) -> float:
        """Return a number that no process of this host ever used."""
        numbers, end = self._block
        number = next(numbers)
        return float(number) if number < end else self._fresh_block()

    def _fresh_block(self) -> float:
        with self._mutex:
            numbers, end = self._block
            number = next(numbers)
            if number >= end:
                start = self._table.take_prefix() << _COUNTER_BITS
                numbers = count(start)
                self._block = (numbers, start + (1 << _COUNTER_BITS))
                number = next(numbers)
            return float(number)

    def _barrier(self) -> None:
        if self._fence is not None:
            self._fence.acquire()
            self._fence.release()

    def touch_keys(self, places: Iterable[tuple[int, int]]) -> None:
        """Invalidate keys given as (cell, lane): all cells first, then each lane once."""
        places = list(places)
        view, number = self.view, self.fresh()
        for cell, _ in places:
            view[cell] = number
        self._barrier()
        for lane in {lane for _, lane in places}:
            view[lane] = number

    def touch_key(self, cell: int, lane: int) -> None:
        """Invalidate one key."""
        view, (numbers, end) = self.view, self._block
        number: float = next(numbers)
        if number >= end:
            number = self._fresh_block()
        view[cell] = number
        if self._fence is not None:
            self._barrier()
        view[lane] = number

    def touch_tags(self, cells: Cells, tags: Iterable[str]) -> None:
        """Invalidate tags of the tenant of ``cells``."""
        view, number = self.view, self.fresh()
        view[cells.any_tag] = number
        for tag in tags:
            view[cells.tag(tag)] = number
        self._touch_lanes(cells, number)

    def touch_namespace(self, cells: Cells) -> None:
        """Invalidate everything in the namespace of ``cells``."""
        number = self.fresh()
        self.view[cells.namespace] = number
        self._touch_lanes(cells, number)

    def touch_tenant(self, cells: Cells) -> None:
        """Invalidate everything of the tenant of ``cells``."""
        number = self.fresh()
        self.view[cells.tenant] = number
        self._touch_lanes(cells, number)

    def _touch_lanes(self, cells: Cells, number: float) -> None:
        self._barrier()
        first = cells.tenant + 1
        self.view[first : first + LANES] = memoryview(array("d", [number]) * LANES)

    def touch_all(self) -> None:
        """Invalidate everything on this host."""
        number, again = self.fresh(), self.fresh()
        self.view[:] = memoryview(array("d", [number]) * CELLS)
        self._barrier()
        # A slice store has no order inside: the lanes once more, so that each is written after its cells.
        self.view[TENANTS_AT:] = memoryview(array("d", [again]) * (CELLS - TENANTS_AT))

    # -- the store that this host shares ---------------------------------------------------------

    def current(self) -> str:
        """Return the generation of the host's store: a store of another one must not be read. Empty: there is none for now."""
        words, number, name = self._named
        return name if words[STORE_GEN] == number else self._name_generation()

    def _name_generation(self) -> str:
        words = self._table.words
        number = words[STORE_GEN]
        is_given_up = number == GIVEN_UP
        name = "" if is_given_up else f"{words[OWNER_GEN]:016x}-{number}"
        self._named = (words, number, name)
        if is_given_up:
            self._see_given_up(words)
        return name

    def _see_given_up(self, words: "memoryview[int]") -> None:
        # A call touches after it has asked for the generation: from now on nothing that it touches holds there either.
        if self._mutex.acquire(blocking=False):  # else ``check`` replaces the table just now, or ``void`` asks
            if words is self._table.words:
                self._block = _NO_NUMBER
            self._mutex.release()
        if self._on_given_up is not None:
            self._on_given_up()

    def void(self, seen: str, reason: str) -> str:  # noqa: ARG002 -- the reason is the caller's to report
        """Distrust the store of generation ``seen``, once; returns the generation that is good now.

        Raises TierUnavailable where there is no store, or the table's lock cannot be had.
        """
        if self._table.is_given_up:
            raise TierUnavailable(self._why_abandoned or _REPLACED)
        with self._mutex, self._table.locked():
            if self.current() == seen:
                self._table.words[STORE_GEN] += 1
        self.touch_all()
        return self.current()

    def now_ms(self) -> int:
        """Return the host store's clock in milliseconds: steady through wall-clock steps, wall time at the table's start."""
        return clock_gettime_ns(self._clock) // 1_000_000 + self._clock_base

    def version_no(self) -> int:
        """Return the store's clock as a version number (ms << 20, the rest of the millisecond below).

        No two calls of a process get the same, whatever their threads: the last six bits count calls, which take longer
        than the 64 ns that those bits hide. Calls of two processes may: writers of one name are told apart by the store.
        """
        milliseconds, rest = divmod(clock_gettime_ns(self._clock), 1_000_000)
        return (milliseconds + self._clock_base) << 20 | rest & _WHOLE_TICKS | next(self._calls) & _CALLS

    # -- life ------------------------------------------------------------------------------------

    def check(self) -> bool:
        """Re-open the table if its file was replaced; everything held under the old one is dropped. True if it was.

        Raises TierUnavailable where it cannot be done yet; the next call goes on with what is left of it. TableForeign
        (which is one) and ConfigInvalid where this process must not share the table that stands: abandon it then.
        """
        is_new = not self._table.is_current() or (self._table.is_given_up and not self._why_abandoned)
        if is_new:
            with self._mutex:
                self._take(self._opened(replaces=False), _NO_NUMBERS)
        if self._replaced:
            self._tell_of_replaced()
        return is_new

    def _take(self, table: Table, block: _Block) -> None:
        self._table.leave()
        self._replaced.append(self._table)
        self._table = table
        self._block = block
        self._clock_base = table.words[CLOCK_BASE]
        self.view = table.cells
        self._named = (table.words, -1, "")

    def _tell_of_replaced(self) -> None:
        """Give up the tables left behind, then the new store and this process; what fails is done again by the next check.

        The store: what was invalidated under an old table, after others took the new one, they have not heard of.
        """
        for old in self._replaced:
            old.give_up()  # first: nothing can keep it from being done
        self.void(self.current(), "the stamp table was replaced")
        if self._on_replaced is not None:
            self._on_replaced()
        self._replaced.clear()

    def abandon(self, why: str) -> None:
        """Trust nothing any more, for good, nor let anybody who shares the table; needs neither lock nor descriptor."""
        table = dead_table()
        with self._mutex:
            self._why_abandoned = why
            self._take(table, _NO_NUMBER)
        for old in self._replaced:
            old.give_up()
        self._replaced.clear()

    def close(self) -> None:
        """Say that this process does not use the host's table any more."""
        if self._directory is not None:
            self._table.leave()

    def before_fork(self) -> None:
        """Wait until no thread of this process holds the table's lock, which a child would go on holding."""
        self._held = self._mutex.acquire(timeout=_FORK_SECONDS)

    def after_fork_in_parent(self) -> None:
        """Let the threads go on."""
        if self._held:
            self._held = False
            self._mutex.release()

    def after_fork(self) -> None:
        """Give the child its own locks and numbers: the parent's block must not be used twice."""
        self._held = False
        self._mutex = Mutex()
        self._fence = None if self._fence is None else Mutex()
        self._block = _NO_NUMBER if self._why_abandoned else _NO_NUMBERS
