"""The disk tier: one SQLite file per generation, shared by all processes of a host.

**Voiding.** An invalidation (``Delete`` without ``expect``, ``MarkStale``, every ledger change) must never
be lost. Where it cannot be committed within the deadline (a full disk, an I/O error, a stopped process
that holds the write lock) the whole store is voided: the generation advances, all processes leave the
old file at their next call, and nothing older than the invalidation can be read by anybody. The call
then returns as if it had been done, and a ``StoreVoided`` event says so. It raises only if the
generation cannot be advanced either. A fill, a set or a lease that cannot be written is skipped:
``TierUnavailable`` or ``DeadlineExceeded``, and the row that was to be replaced still stands.

That a call finds the generation advanced by another while it ran is as good as advancing it: whatever
is stored under the new one was loaded under a lease taken after this call began, so after the change
that it announces. For the same reason a change that commits to a file just given up is not repeated.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from caching_core.errors import ConfigInvalid, TierUnavailable
from caching_core.runtime._port import Runtime
from caching_core.tiers._protocol import (
    UNKNOWN,
    Changed,
    Clock,
    Delete,
    EntryChange,
    Expect,
    Lease,
    Ledger,
    LedgerChange,
    MarkStale,
    Peek,
    StoreUsage,
)
from caching_core.tiers.disk import _entries, _ledger, _place, _upkeep
from caching_core.tiers.disk._access import Access
from caching_core.tiers.disk._events import DiskEvent, UpkeepFailed
from caching_core.tiers.disk._generation import StoreGeneration

LEAST_BYTES: Final = 1 << 20

_TURN_MS: Final = 500
_ROUNDS: Final = 8
_FORGOTTEN_FIELDS: Final = 1000
_CHECKPOINT_BYTES: Final = 256 * 1024


def _ignore(_event: DiskEvent) -> None:
    """Hear nothing."""


class DiskStore:
    """A store in ``directory``, which is this user's alone and on a local disk.

    Any number of processes, threads and objects may use one directory. ``max_bytes`` bounds the file with
    its log; it is overshot by at most 256 KiB per process and the largest frame, until the next ``maintain``.
    A frame above a quarter of it is not kept (``done`` is False, and what stood there is gone). Raises
    ConfigInvalid for a directory that is open to others, TierUnavailable where it cannot be written.
    """

    answers_at_once = True
    __slots__ = ("_access", "_bounds", "_check_bytes", "_largest", "_on_event", "_owner", "_rand", "_reads", "_unchecked", "now_ms")

    def __init__(
        self,
        directory: Path,
        *,
        generation: StoreGeneration,
        runtime: Runtime,
        max_bytes: int,
        now_ms: Callable[[], int],
        deadline: float = 0.1,
        on_event: Callable[[DiskEvent], None] = _ignore,
        rand: Callable[[int], bytes] = os.urandom,
    ) -> None:
        if max_bytes < LEAST_BYTES:
            raise ConfigInvalid(f"the disk store needs max_bytes of at least {LEAST_BYTES}, not {max_bytes}")
        self._bounds = _upkeep.Bounds(max_bytes, directory)
        self._check_bytes, self._largest = self._bounds.check_bytes, self._bounds.largest_frame
        self.now_ms: Clock = now_ms
        self._on_event = on_event
        self._rand = rand
        self._owner = int.from_bytes(rand(7), "big")
        self._unchecked = 0  # bytes of frames written by this process since it last looked at the size
        self._reads: dict[str, None] | None = None  # names read since the last upkeep, while eviction is near
        self._access = Access(
            self._bounds, generation=generation, runtime=runtime, deadline=deadline, now_ms=now_ms, on_event=on_event, rand=rand
        )

    def peek(self, name: str) -> bytes | Peek | None:
        """Return mark byte + frame, or None; UNKNOWN where the file has to be opened, waited for or repaired."""
        access = self._access
        pool = access.pool
        if pool is None or pool.generation != access.current():
            return UNKNOWN
        try:
            connection = pool.idle.pop()
        except IndexError:
            return UNKNOWN
        try:
            row = connection.kept_cursor.execute(_entries.READ, (name,)).fetchone()
        except BaseException as error:
            pool.discard(connection)
            if not isinstance(error, sqlite3.Error):
                raise
            return UNKNOWN
        pool.idle.append(connection)
        if pool.retired:
            pool.trim(0)
        if row is None:
            return None
        if self._reads is not None:
            self._note_read(name)
        frame: bytes = row[0]
        return frame

    def _note_read(self, name: str) -> None:
        reads = self._reads
        if reads is not None and len(reads) < _upkeep.REMEMBERED_READS:
            reads[name] = None

    def put_now(self, name: str, frame: bytes, expires_ms: int | None, version_no: int) -> bool:
        """Store a frame in one transaction if nobody writes at this moment; False: ask ``mutate``, which may do it again."""
        access, size = self._access, len(frame)
        pool = access.pool
        if pool is None or size > self._largest or self._unchecked + size >= self._check_bytes or pool.generation != access.current():
            return False
        if not access.writing.acquire(timeout=access.turn_seconds):
            return False
        try:
            connection = pool.idle.pop()
        except IndexError:
            access.writing.release()
            return False
        try:
            done = _entries.put_alone(connection.kept_cursor, name, frame, expires_ms=expires_ms, version_no=version_no)
        except BaseException as error:
            pool.discard(connection)
            if not isinstance(error, sqlite3.Error):
                raise
            return False
        else:
            pool.idle.append(connection)
        finally:
            access.writing.release()
        self._unchecked += size
        return done

    async def get(self, name: str) -> bytes | None:
        """Return mark byte + frame, or None."""
        found = await self._access.read(lambda connection, now: _entries.read(connection, name, now))
        if found is not None:
            self._note_read(name)
        return found

    async def get_many(self, names: Sequence[str]) -> list[bytes | None]:
        """Return one answer per name, in order, all of one moment."""
        return await self._access.read_snapshot(lambda connection, now: [_entries.read(connection, name, now) for name in names])

    async def ledger(self, tenant: str, fields: Sequence[str]) -> Ledger:
        """Read the tenant's ledger (made on first use)."""
        read = self._access.read if len(fields) <= _ledger.MOST_IN_ONE_READ else self._access.read_snapshot
        found = await read(lambda connection, _now: _ledger.read_ledger(connection, tenant, fields))
        if found is not None:
            return found
        return await self._access.write(lambda connection, _now: self._ledger_of(connection, tenant, fields))

    def _ledger_of(self, connection: sqlite3.Connection, tenant: str, fields: Sequence[str]) -> Ledger:
        found = _ledger.read_ledger(connection, tenant, fields)
        if found is None:
            _ledger.make_ledger(connection, tenant, self._rand)
            found = _ledger.read_ledger(connection, tenant, fields)
        assert found is not None  # noqa: S101  just made, in this transaction
        return found

    async def lease(self, name: str, token: bytes, ttl_ms: int, *, tenant: str, bad: bytes | None, fields: Sequence[str] | None) -> Lease:
        """Take the right to load ``name``, or be told what stands there or that another loads."""

        def look(connection: sqlite3.Connection, now: int) -> Lease | None:
            frame = _entries.standing(connection, name, bad, now)
            if frame is not None or _entries.is_leased(connection, name, now):
                return Lease(granted=False, frame=frame, ledger=None, now_ms=now)
            return None

        def take(connection: sqlite3.Connection, now: int) -> Lease:
            refused = look(connection, now)
            if refused is not None:
                return refused
            _entries.take_lease(connection, name, token, now + ttl_ms)
            ledger = None if fields is None else self._ledger_of(connection, tenant, fields)
            return Lease(granted=True, frame=None, ledger=ledger, now_ms=now)

        # Who waits for another's load asks again and again: without the write lock.
        refused: Lease | None = await self._access.read(look)
        return await self._access.write(take) if refused is None else refused

    async def release(self, name: str, token: bytes) -> None:
        """Give a lease back without a fill."""
        await self._access.write(lambda connection, _now: _entries.release_lease(connection, name, token))

    async def mutate(self, entries: Sequence[EntryChange], ledger: Sequence[LedgerChange] = ()) -> Changed:
        """Apply all changes in one atomic step, entries first, each list in order."""
        generation = self._access.current()
        bytes_put = _entries.sizes(entries)
        largest = self._largest

        def apply(connection: sqlite3.Connection, now: int) -> Changed:
            done = [_entries.change(connection, entry, now, largest=largest) for entry in entries]
            for wanted in ledger:
                _ledger.change_ledger(connection, wanted, self._rand)
            if bytes_put:
                self._relieve_in_time(connection, bytes_put)
            return Changed(done, now)

        must_not_be_lost = bool(ledger) or any(map(_must_not_be_lost, entries))
        try:
            return await self._access.write(apply, is_insistent=must_not_be_lost)
        except TierUnavailable as error:
            if self._access.closed or not must_not_be_lost:
                raise
            self._access.void(generation, f"an invalidation could not be written: {error}")
            return Changed([_must_not_be_lost(entry) for entry in entries], self.now_ms())

    def _relieve_in_time(self, connection: sqlite3.Connection, bytes_put: int) -> None:
        self._unchecked += bytes_put
        if self._unchecked >= self._check_bytes:
            self._unchecked = 0
            _upkeep.relieve(connection, self._bounds)

    async def names(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        """List living names with this prefix, sorted, after a cursor."""
        return await self._access.read(lambda connection, now: _entries.list_names(connection, prefix, after, limit, now))

    async def usage(self) -> StoreUsage:
        """Return what the store holds; above 16 MiB the frames' bytes are estimated, and names past their time are counted."""
        log_bytes = self._log_bytes()
        return await self._access.read_snapshot(lambda connection, now: _upkeep.usage_of(connection, now, log_bytes=log_bytes))

    def _log_bytes(self) -> int:
        pool = self._access.pool
        return 0 if pool is None else _place.size_of(pool.path.with_name(pool.path.name + "-wal"))

    async def maintain(self) -> None:
        """Expire, evict and check, in one bounded step; one process at a time does it for all. Never raises TierUnavailable."""
        try:
            await self._check_files()
            if await self._access.write(lambda connection, now: _upkeep.claim(connection, self._owner, now, turn_ms=_TURN_MS)):
                await self._expire_and_evict()
            await self._checkpoint()
        except (TierUnavailable, OSError) as error:
            self._on_event(UpkeepFailed(str(error)))

    async def _check_files(self) -> None:
        """Notice a file that was replaced or removed from outside, and remove those of older generations."""
        access = self._access
        access.drain_retired()
        pool = access.current_pool()
        try:
            replaced = _place.check_file(pool.path) != pool.identity
        except (OSError, ConfigInvalid):
            replaced = True
        if replaced and pool.generation == access.current():
            access.void(pool.generation, "the store's file was removed or replaced from outside")
        _place.sweep(self._bounds.directory, access.current)

    async def _expire_and_evict(self) -> None:
        access, bounds = self._access, self._bounds
        reads = self._reads
        self._reads = None
        if reads:
            await access.write(lambda connection, _now: _upkeep.mark_read(connection, list(reads)))
        for _round in range(_ROUNDS):
            start, last, any_expired = await access.read_snapshot(_upkeep.expired_ahead)
            if not any_expired and last == start:
                break
            if not await access.write(_upkeep.expire):
                break
            await access.breathe()
        await access.write(_upkeep.sweep_leases)
        await access.write(lambda connection, _now: _ledger.sweep_forgotten(connection, _FORGOTTEN_FIELDS))
        for _round in range(_ROUNDS):
            if not await access.write(lambda connection, _now: _upkeep.relieve(connection, bounds)):
                break
            await access.breathe()
        await access.alone(lambda connection, _now: _upkeep.give_back(connection, bounds))
        if await access.read_snapshot(lambda connection, _now: _upkeep.is_nearly_full(connection, bounds)):
            self._reads = {}

    async def _checkpoint(self) -> None:
        """Move the log into the file, so that no caller has to; a reader that hangs must not let it grow for ever."""
        log_bytes = self._log_bytes()
        if log_bytes < min(_CHECKPOINT_BYTES, self._bounds.checkpoint_bytes):
            return
        generation = self._access.current()
        mode = "TRUNCATE" if log_bytes > self._bounds.checkpoint_bytes else "PASSIVE"
        await self._access.alone(lambda connection, _now: connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchall())
        if log_bytes > self._bounds.most_log_bytes and self._log_bytes() > self._bounds.most_log_bytes:
            self._access.void(generation, "the log could not be cut: a process hangs while it reads")

    def close(self) -> None:
        """Release the connections of this process; later calls raise TierUnavailable."""
        self._access.close()


def _must_not_be_lost(change: EntryChange) -> bool:
    return type(change) is MarkStale or (type(change) is Delete and change.expect is Expect.ANYTHING)
