"""The Redis tier: entries, ledgers and leases in one server that many hosts share.

An invalidation that cannot be done raises: the caller is told, and the old value may be read again by others until its
lifetime ends. A command whose outcome is unknown is sent again only where doing it twice is as good as once, as with reads
and removals, and only where its connection had ended, as those do that have been idle.
"""

import os
import time
from collections.abc import Callable, Sequence
from heapq import nsmallest
from typing import Any, Final

from caching_core.errors import TierUnavailable
from caching_core.tiers._protocol import (
    FRESH_MARK,
    UNKNOWN,
    BumpTags,
    Changed,
    Clock,
    Delete,
    EntryChange,
    Expect,
    Lease,
    Ledger,
    LedgerChange,
    MarkStale,
    NewEpoch,
    Peek,
    Put,
    StoreUsage,
)
from caching_core.tiers.redis._clock import ServerClock
from caching_core.tiers.redis._commands import Argument, command
from caching_core.tiers.redis._names import is_entry, lease_of, ledger_of
from caching_core.tiers.redis._port import Link
from caching_core.tiers.redis._replies import Fault, ServerSaid, checked, has_done_one
from caching_core.tiers.redis._scripts import LEASE, LEDGER, MUTATE, PRUNE, RELEASE, Script
from caching_core.tiers.redis._upkeep import LedgerKeeper, number_in

_FRESH: Final = bytes([FRESH_MARK])
_EPOCH_BYTES: Final = 16
_SCAN_COUNT: Final = 1000
_SAMPLES: Final = 3
_SYNC_SECONDS: Final = 30.0
_SLACK_MS: Final = 50  # by which this process may be wrong about the server's time
_GLOB: Final = str.maketrans({sign: "\\" + sign for sign in "*?[]^-\\"})


class RedisStore:
    """A store in one Redis 6.2+ or Valkey server, through ``link``.

    ``now_ms`` is the server's clock as far as this process knows it, shared with the store ``beside``, which looks after
    the ledgers of both; a test may give a ``now_ms`` of its own, which the scripts then go by. ``rand`` draws epochs.
    ``deadline``: the seconds that a call has; a value that reaches the server later than that is not put, since its caller
    has been told that it was not.
    """

    __slots__ = ("_closed", "_late_ms", "_link", "_passed_now", "_rand", "_synced", "answers_at_once", "clock", "keeper", "now_ms")

    def __init__(
        self,
        link: Link,
        *,
        beside: "RedisStore | None" = None,
        deadline: float | None = None,
        now_ms: Callable[[], int] | None = None,
        rand: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._link = link
        self.answers_at_once = link.answers_at_once
        self.clock: ServerClock = ServerClock() if beside is None else beside.clock
        self.now_ms: Clock = self.clock.now_ms if now_ms is None else now_ms
        self._passed_now = now_ms
        self._rand = rand
        self._synced = float("-inf")
        self._closed = False
        self._late_ms = None if deadline is None else int(deadline * 1000) + _SLACK_MS
        self.keeper: LedgerKeeper = LedgerKeeper() if beside is None else beside.keeper

    # Reading

    def peek(self, name: str) -> bytes | Peek | None:
        """Answer as ``get`` does where the caller's thread may wait; else, and where the server is away, UNKNOWN."""
        try:
            replies = self._link.ask_now(command("GET", name), again=True)
        except TierUnavailable:
            return UNKNOWN
        if replies is None:
            return UNKNOWN
        reply = replies[0]
        return reply if reply is None or type(reply) is bytes else UNKNOWN

    async def get(self, name: str) -> bytes | None:
        """Return mark byte + frame, or None."""
        found: bytes | None = await self._one("GET", name)
        return found

    async def get_many(self, names: Sequence[str]) -> list[bytes | None]:
        """Return one answer per name, in order, all of one moment."""
        if not names:
            return []
        found: list[bytes | None] = await self._one("MGET", *names)
        return found

    async def ledger(self, tenant: str, fields: Sequence[str]) -> Ledger:
        """Read the tenant's ledger (made on first use)."""
        key = ledger_of(tenant)
        self.keeper.note(tenant)
        epoch, seq, floor, *values = await self._one("HMGET", key, "@epoch", "@seq", "@floor", *fields)
        if epoch is None:
            epoch, seq, floor, values = await self._run(LEDGER, [key], [self._rand(_EPOCH_BYTES), *fields], again=True)
        return _ledger(epoch, seq, floor, fields, values)

    async def lease(self, name: str, token: bytes, ttl_ms: int, *, tenant: str, bad: bytes | None, fields: Sequence[str] | None) -> Lease:
        """Take the right to load ``name``, or be told what stands there or that another loads."""
        fresh = b"" if fields is None else self._rand(_EPOCH_BYTES)
        arguments: list[Argument] = [token, ttl_ms, b"" if bad is None else bad, fresh, *(fields or ())]
        granted, blob, ledger, now = await self._run(LEASE, [name, lease_of(name), ledger_of(tenant)], arguments)
        found = None if ledger is None else _ledger(ledger[0], ledger[1], ledger[2], fields or (), ledger[3])
        return Lease(granted=bool(granted), frame=blob, ledger=found, now_ms=now)

    async def release(self, name: str, token: bytes) -> None:
        """Give a lease back without a fill."""
        await self._run(RELEASE, [lease_of(name)], [token], again=True)

    # Changing

    def put_now(self, name: str, frame: bytes, expires_ms: int | None, version_no: int) -> bool:
        """Do an unconditional Put where the caller's thread may wait; False: ask ``mutate``, which may do it again."""
        put = Put(name, frame, expires_ms, version_no=version_no)
        try:
            replies = self._link.ask_now(self._packed(MUTATE, *self._mutation([put], ())))
        except TierUnavailable:
            return False
        return replies is not None and has_done_one(replies[0])

    async def mutate(self, entries: Sequence[EntryChange], ledger: Sequence[LedgerChange] = ()) -> Changed:
        """Apply all changes in one script, entries first, each list in order. Raises TierUnavailable: the outcome is then unknown."""
        for change in ledger:
            self.keeper.note(change.tenant)
        sent = time.monotonic()
        again = all(isinstance(entry, MarkStale) or (isinstance(entry, Delete) and entry.expect is Expect.ANYTHING) for entry in entries)
        done, now = await self._run(MUTATE, *self._mutation(entries, ledger), again=again)
        if self._passed_now is None:
            self.clock.learn(now * 1_000_000 + 500_000, sent, time.monotonic())
        return Changed([bool(each) for each in done], now)

    def _mutation(self, entries: Sequence[EntryChange], ledger: Sequence[LedgerChange]) -> tuple[list[str], list[Argument]]:
        size = sum(len(entry.frame) for entry in entries if isinstance(entry, Put))
        not_after = None if self._late_ms is None or not size else self.now_ms() + self._late_ms + (size * 20 >> 20)
        return _mutation(entries, ledger, self._rand, not_after)

    async def forget_ledgers(self) -> None:
        """Drop every tenant's ledger: new epochs are drawn on first use, and nothing stored before is valid. Raises TierUnavailable."""
        cursor: bytes | int = 0
        while True:
            cursor, keys = await self._one("SCAN", cursor, "MATCH", ledger_of("*"), "COUNT", _SCAN_COUNT)
            if keys:
                await self._one("UNLINK", *keys)
            if int(cursor) == 0:
                return

    # Looking after

    async def names(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        """List living names with this prefix, sorted by code points, after a cursor; walks the whole database."""
        pattern = prefix.translate(_GLOB) + "*"
        found: set[str] = set()
        cursor: bytes | int = 0
        while True:
            cursor, keys = await self._one("SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_COUNT)
            texts = (key.decode(errors="replace") for key in keys)
            found.update(name for name in texts if name.startswith(prefix) and name > after and is_entry(name))
            if len(found) > 4 * limit:
                found = set(nsmallest(limit, found))
            if int(cursor) == 0:
                return nsmallest(limit, found)

    async def usage(self) -> StoreUsage:
        """Return what the server holds: ``entries`` counts every key of the database, ``frame_bytes`` is all that the server uses."""
        packed = command("DBSIZE") + command("INFO", "memory") + command("INFO", "stats")
        size, memory, stats = (checked(self._link.where, reply) for reply in await self._link.ask(packed, 3, again=True))
        used = number_in(memory, "used_memory")
        return StoreUsage(
            entries=size,
            frame_bytes=used,
            stored_bytes=used,
            evicted=number_in(stats, "evicted_keys"),
            expired=number_in(stats, "expired_keys"),
            details={"max_bytes": number_in(memory, "maxmemory"), "server": self._link.where},
        )

    async def maintain(self) -> None:
        """Learn the server's time now and then, and cut ledgers that have grown beyond their bound. Never raises TierUnavailable."""
        if self._link.lost is not None:
            return
        try:
            if time.monotonic() - self._synced > _SYNC_SECONDS:
                await self.synchronise()
            await self.keeper.prune(self._one, lambda key, arguments: self._run(PRUNE, [key], arguments))
        except TierUnavailable:
            return  # the link has said so

    async def synchronise(self) -> None:
        """Learn the server's time, of a few trips from the shortest. Raises TierUnavailable."""
        # Not of one: the first may hold the making of a connection, which says nothing of the time.
        samples: list[tuple[float, float, int]] = []
        for _ in range(_SAMPLES):
            sent = time.monotonic()
            seconds, micros = await self._one("TIME")
            received = time.monotonic()
            samples.append((received - sent, sent, int(seconds) * 1_000_000 + int(micros)))
        trip, sent, server_us = min(samples)
        self.clock.learn(server_us * 1000, sent, sent + trip)
        self._synced = time.monotonic()

    def close(self) -> None:
        """Release the connections of this process; later calls raise TierUnavailable."""
        self._link.close()

    # Asking

    async def _one(self, *arguments: Argument) -> Any:  # Any: whatever the command answers
        return checked(self._link.where, (await self._link.ask(command(*arguments), again=True))[0])

    async def _run(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument], *, again: bool = False
    ) -> Any:  # Any: as above
        reply = (await self._link.ask(self._packed(script, keys, arguments), again=again))[0]
        try:
            return checked(self._link.where, reply)
        except ServerSaid as error:
            if error.fault is not Fault.NO_SCRIPT:
                raise
        whole = command("EVAL", script.text, len(keys), *keys, self._now(), *arguments)
        return checked(self._link.where, (await self._link.ask(whole, again=again))[0])

    def _packed(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> bytes:
        return command("EVALSHA", script.digest, len(keys), *keys, self._now(), *arguments)

    def _now(self) -> bytes | int:
        return b"" if self._passed_now is None else self._passed_now()


def _mutation(
    entries: Sequence[EntryChange], ledger: Sequence[LedgerChange], rand: Callable[[int], bytes], latest: int | None
) -> tuple[list[str], list[Argument]]:
    """Return keys and arguments of the script that does these changes; a value is not put after the server's time ``latest``."""
    keys: list[str] = []
    arguments: list[Argument] = [len(entries)]
    for entry in entries:
        keys += (entry.name, lease_of(entry.name))
        if isinstance(entry, MarkStale):
            arguments += ("M", b"")
        elif isinstance(entry, Delete):
            arguments += ("D", _expected(entry.expect))
        else:
            limit = latest if entry.not_after_ms is None else entry.not_after_ms
            not_after = b"" if limit is None else limit
            ends = b"" if entry.expires_ms is None else entry.expires_ms
            arguments += ("P", _expected(entry.expect), _FRESH + entry.frame, ends, entry.token or b"", not_after)
            arguments.append(entry.version_no.to_bytes(8))
    for change in ledger:
        keys.append(ledger_of(change.tenant))
        fields = _bumped(change)
        arguments += ("B" if fields else "E", rand(_EPOCH_BYTES), len(fields), *fields)
    return keys, arguments


def _expected(expect: bytes | Expect) -> bytes:
    if isinstance(expect, bytes):
        return expect
    return b"absent" if expect is Expect.ABSENT else b""


def _bumped(change: LedgerChange) -> list[str]:
    """Return the fields that a change raises; none: it makes a new epoch."""
    if isinstance(change, BumpTags):
        kind = "s:" if change.soft else "t:"
        return [kind + tag for tag in change.tags]
    if isinstance(change, NewEpoch):
        return ["s:@all"] if change.soft else []
    return ["n:" + change.namespace]


def _ledger(epoch: bytes, seq: Any, floor: Any, fields: Sequence[str], values: Sequence[Any]) -> Ledger:  # Any: numbers as text
    return Ledger(
        epoch, int(seq), int(floor or 0), {name: int(value) for name, value in zip(fields, values, strict=True) if value not in (None, b"")}
    )
