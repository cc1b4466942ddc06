"""How a call reaches the current file: the right generation, a connection, a transaction, in time.

Every attempt is one synchronous stretch of SQLite with a zero busy timeout; between attempts the caller
sleeps through its runtime and holds neither a connection nor a lock. A caller that got fewer than a few
attempts before its time ran out (its own process was starved) gets them still.
"""

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from caching_core.errors import CacheError, ConfigInvalid, DeadlineExceeded, TierUnavailable
from caching_core.runtime._port import Runtime
from caching_core.tiers.disk import _place
from caching_core.tiers.disk._events import DiskEvent, StoreQuarantined, StoreVoided
from caching_core.tiers.disk._failures import Failure, FileDamaged, StoreBusy, failure_of, reason_of
from caching_core.tiers.disk._generation import StoreGeneration
from caching_core.tiers.disk._pool import FORK_SECONDS, Pool
from caching_core.tiers.disk._schema import PAGE_BYTES, Connection, connect, lay_out
from caching_core.tiers.disk._upkeep import Bounds

T = TypeVar("T")
Work = Callable[[sqlite3.Connection, int], T]

_FEWEST_ATTEMPTS: Final = 8
_INSISTENCE_SECONDS: Final = 2.0
_STUCK_SECONDS: Final = 0.5  # without any commit: on a starved machine a writer may well sleep for a tenth of that
_FIRST_PAUSE: Final = 0.000_05
_LONGEST_PAUSE: Final = 0.000_5
_MOST_REPAIRS: Final = 2
_OPENING_SECONDS: Final = 5.0
_FAILURES: Final = (sqlite3.Error, OSError, StoreBusy, FileDamaged)


class Access:
    """The connections of this process to the store's current file.

    ``current()`` is the generation; ``pool`` may be of an older one, or None: ``current_pool`` settles that.
    ``closed`` is set by ``close``.
    """

    __slots__ = (
        "__weakref__",
        "_bounds",
        "_deadline",
        "_forked_badly",
        "_forking",
        "_generation",
        "_held",
        "_now_ms",
        "_on_event",
        "_rand",
        "_retired",
        "_runtime",
        "_stranded",
        "_switching",
        "closed",
        "current",
        "pool",
        "turn_seconds",
        "writing",
    )  # fmt: skip

    def __init__(
        self,
        bounds: Bounds,
        *,
        generation: StoreGeneration,
        runtime: Runtime,
        deadline: float,
        now_ms: Callable[[], int],
        on_event: Callable[[DiskEvent], None],
        rand: Callable[[int], bytes],
    ) -> None:
        """Check the directory and open the file. Raises ConfigInvalid or TierUnavailable."""
        self._bounds = bounds
        self._generation = generation
        self.current = generation.current
        self._runtime = runtime
        self._deadline = deadline
        self.turn_seconds = deadline if runtime.blocks else 0.0
        self._now_ms = now_ms
        self._on_event = on_event
        self._rand = rand
        self.pool: Pool | None = None
        self.writing = threading.Lock()  # threads of one process do not contend inside SQLite
        self._switching = threading.Lock()
        self._retired: list[Pool] = []  # of older generations, closed by upkeep
        self._stranded: list[Pool] = []  # inherited by a fork with open connections, which a child must not even finalise
        self._forking: list[Pool] = []
        self._held = False
        self._forked_badly: str | None = None
        self.closed = False
        _place.own_directory(bounds.directory)
        self._open_first()
        _hook_forks(self)

    def _open_first(self) -> None:
        """Open the file where nobody waits for an answer yet."""
        give_up = time.monotonic() + _OPENING_SECONDS
        while True:
            generation = self.current()
            try:
                return self.current_pool().lend(lambda _: None)
            except _FAILURES as error:
                failure = failure_of(error)
                if failure is Failure.AWAY or time.monotonic() > give_up:
                    raise self._unavailable(error) from error
                if failure is Failure.DAMAGED:
                    self._quarantine(generation, error)
                time.sleep(_LONGEST_PAUSE)

    # Which file

    def current_pool(self) -> Pool:
        """Return the pool of the current generation, opened if need be."""
        if self._forked_badly is not None:
            reason, self._forked_badly = self._forked_badly, None
            self.void(self.current(), reason)
        pool = self.pool
        if pool is not None and pool.generation == self.current():
            return pool
        with self._switching:
            return self._switch()

    def _switch(self) -> Pool:
        if self.closed:
            raise TierUnavailable("the disk store is closed; make a new one")
        generation = self.current()
        if not generation:
            raise TierUnavailable(
                f"the disk store in {self._bounds.directory} was begun anew by other processes; this one joins it within a second, "
                "or says why it cannot"
            )
        pool = self.pool
        if pool is None or pool.generation != generation:
            if pool is not None:
                self._retire(pool)
            path = _place.file_of(self._bounds.directory, generation)
            try:
                identity = _place.check_file(path)
            except FileNotFoundError:
                _place.make_file(path, lay_out)
                identity = _place.check_file(path)
            pool = self.pool = Pool(generation, path, identity, self._connect)
        return pool

    def _retire(self, pool: Pool) -> None:
        """Leave a pool; what is idle in it is closed by upkeep, which has the time."""
        pool.retired = True
        self._retired.append(pool)
        self.pool = None

    def _connect(self, path: Path) -> Connection:
        return connect(path, checkpoint_pages=self._bounds.checkpoint_bytes // PAGE_BYTES)

    def void(self, seen: str, reason: str) -> None:
        """Give up everything stored under the generation ``seen``. Raises TierUnavailable if that cannot be done."""
        try:
            fresh = self._generation.void(seen, reason)
        except (OSError, CacheError) as error:
            if not self.current():
                raise TierUnavailable(f"nothing can be invalidated for now: {reason_of(error)}") from error
            raise TierUnavailable(
                f"the disk store can neither be changed ({reason}) nor voided ({reason_of(error)}); free the disk, or remove its directory"
            ) from error
        try:
            _place.sweep(self._bounds.directory, self.current)  # gives a full disk its space back
        except OSError:
            pass  # upkeep tries again; nobody reads these files any more
        self._on_event(StoreVoided(fresh, reason))

    def _quarantine(self, generation: str, error: Exception) -> None:
        try:
            kept = _place.quarantine(_place.file_of(self._bounds.directory, generation), now=self._now_ms())
        except OSError:
            kept = None
        self._on_event(StoreQuarantined(kept, reason_of(error)))
        self.void(generation, f"damaged file: {reason_of(error)}")

    # Reading and writing

    async def read(self, work: Work[T]) -> T:
        """Run ``work`` outside a transaction. Raises TierUnavailable or DeadlineExceeded."""
        return await self._patiently(lambda: self.current_pool().lend(lambda connection: work(connection, self._now_ms())))

    async def read_snapshot(self, work: Work[T]) -> T:
        """Run ``work`` in one read transaction."""

        def step(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN")
            result = work(connection, self._now_ms())
            connection.execute("COMMIT")
            return result

        return await self._patiently(lambda: self.current_pool().lend(step))

    async def write(self, work: Work[T], *, is_insistent: bool = False) -> T:
        """Run ``work`` in one write transaction; everything it did happens, or nothing.

        With ``is_insistent`` it waits for half a second, and up to two while others are seen to commit: a queue of
        writers is no reason to give up what is stored, a writer that hangs is.
        """

        def step(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN IMMEDIATE")
            result = work(connection, self._now_ms())
            connection.execute("COMMIT")
            return result

        return await self._patiently(lambda: self._alone(step), is_insistent=is_insistent)

    async def alone(self, work: Work[T]) -> T:
        """Run ``work`` outside a transaction, while no other thread of this process writes."""
        return await self._patiently(lambda: self._alone(lambda connection: work(connection, self._now_ms())))

    def _alone(self, step: Callable[[sqlite3.Connection], T]) -> T:
        if not self.take_turn():
            raise StoreBusy("another thread of this process writes")
        try:
            return self.current_pool().lend(step)
        finally:
            self.writing.release()

    def take_turn(self) -> bool:
        """Take ``writing``, queueing for it where waiting stops nobody else; False if it was not to be had.

        Threads that only tried, slept and tried again would starve each other.
        """
        return self.writing.acquire(timeout=self.turn_seconds)

    async def _patiently(self, attempt: Callable[[], T], *, is_insistent: bool = False) -> T:
        until = at_last = window = 0.0
        attempts = repairs = 0
        seen = (0, 0)
        while True:
            generation = self.current()
            try:
                return attempt()
            except ConfigInvalid as error:  # somebody put a file of his own in our place
                raise self._unavailable(error) from error
            except _FAILURES as error:
                failure = failure_of(error)
                if failure is Failure.DAMAGED and repairs < _MOST_REPAIRS:
                    repairs += 1
                    self._quarantine(generation, error)
                    continue
                if failure is not Failure.BUSY:
                    raise self._unavailable(error) from error
                now = self._runtime.now()
                if not attempts:
                    window = max(self._deadline, _STUCK_SECONDS) if is_insistent else self._deadline
                    until, at_last, seen = now + window, now + _INSISTENCE_SECONDS, self._last_commit()
                attempts += 1
                if now >= until and attempts >= _FEWEST_ATTEMPTS:
                    before, seen = seen, self._last_commit()
                    if is_insistent and now < at_last and seen != before:
                        until = now + window
                        continue
                    raise DeadlineExceeded(
                        f"the disk store's file was locked for {self._deadline:g} s; a process that writes to it hangs, or the disk is slow"
                    ) from error
            await self._runtime.sleep(self._pause(attempts))

    def _last_commit(self) -> tuple[int, int]:
        """Return length and time of the write-ahead log: one of them moves when anybody commits."""
        pool = self.pool
        try:
            status = None if pool is None else Path(f"{pool.path}-wal").stat()
        except OSError:
            status = None
        return (0, 0) if status is None else (status.st_size, status.st_mtime_ns)

    def _pause(self, attempts: int) -> float:
        return min(_FIRST_PAUSE * attempts, _LONGEST_PAUSE) * (0.5 + self._rand(1)[0] / 512)

    def _unavailable(self, error: Exception) -> TierUnavailable:
        return TierUnavailable(f"the disk store in {self._bounds.directory} does not work: {reason_of(error)}")

    # Upkeep, closing, forks

    async def breathe(self) -> None:
        """Let others of this thread run."""
        await self._runtime.sleep(0.0)

    def drain_retired(self) -> None:
        """Close connections to older files, and idle ones beyond a few."""
        with self._switching:
            retired, self._retired = self._retired, []
            self._retired += [pool for pool in retired if pool.trim(0)]
            if self.pool is not None:
                self.pool.trim()

    def close(self) -> None:
        """Close the connections of this process, those in use when they are given back."""
        with self._switching:
            self.closed = True
            if self.pool is not None:
                self._retire(self.pool)
        self.drain_retired()

    def before_fork(self) -> None:
        """Close what is idle, wait for what is lent, and keep others from opening until the fork is done."""
        self._held = self._switching.acquire(timeout=FORK_SECONDS)
        self._forking = [pool for pool in self._pools() if pool.before_fork()]

    def after_fork_in_parent(self) -> None:
        """Go on."""
        for pool in self._forking:
            pool.after_fork()
        self._forking = []
        if self._held:
            self._switching.release()

    def _pools(self) -> list[Pool]:
        return [pool for pool in (self.pool, *self._retired) if pool is not None]

    def after_fork_in_child(self) -> None:
        """Start anew: no pool, own locks. A file that could not be closed is left for a new generation."""
        old = self._pools()
        self.pool = None
        self._forking = []
        self._retired = []
        self._switching = threading.Lock()
        self.writing = threading.Lock()
        if not all(pool.is_closed() for pool in old):
            self._stranded += old
            self._forked_badly = "a process forked while a thread of it was inside the store"


def _hook_forks(access: Access) -> None:
    """Register the hooks; they hold no strong reference, since Python cannot take a hook back."""
    seen = weakref.ref(access)

    def call(method: Callable[[Access], None]) -> None:
        live = seen()
        if live is not None:
            method(live)

    os.register_at_fork(
        before=lambda: call(Access.before_fork),
        after_in_parent=lambda: call(Access.after_fork_in_parent),
        after_in_child=lambda: call(Access.after_fork_in_child),
    )
