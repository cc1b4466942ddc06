"""Read: from the authoritative store through the ledger into L1. An L1 hit never comes here."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from sys import getsizeof
from typing import Any, Final

from caching_core.codec import Channel, Current, CurrentValue, Flag, Opened, Refusal, Refused, isolate
from caching_core.coherence import LedgerCopy, Verdict, fields_of
from caching_core.engine._scope import COLD, FOREVER, EngineState, Scope
from caching_core.engine._timing import SAMPLING
from caching_core.errors import EntryCorrupt, KeyNeverMade, KeyUnavailable, TierUnavailable
from caching_core.tenancy import check_key, is_plain_key, named
from caching_core.tiers import STALE_MARK, UNKNOWN, Delete, Ledger, Store
from caching_core.tiers.memory import Entry
from caching_core.types import MISSING

HIGH: Final = int(Flag.HIGH)
_BYTES_OBJECT: Final = getsizeof(b"")


class Standing(enum.Enum):
    """What a stored entry is worth to a read."""

    VALID = "valid"
    STALE = "stale"
    EXPIRED = "expired"
    INVALIDATED = "invalidated"
    REPLAYED = "older than what this process has seen"
    REFUSED = "refused"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the store has under a key, where only ``get`` can say what it is worth; ``capture`` was taken before it was read."""

    blob: bytes
    capture: Entry


class Reader:
    """The read verbs. Each capture precedes the read that it guards."""

    __slots__ = ("_is_quick", "_state", "_store")

    def __init__(self, state: EngineState, store: Store | None) -> None:
        self._state = state
        self._store = store
        self._is_quick = store is not None and store.answers_at_once

    def get_at_once(self, scope: Scope, key: str, absent: Any = MISSING) -> Any:  # noqa: C901, PLR0911 -- one frame, for speed
        """Return the value under ``key`` where the store answers without suspending and the entry is plainly good.

        ``absent`` where the store has nothing, which then counts as a miss unless it is MISSING. ``Seen`` where it has
        something that is not plainly good. Else MISSING. Of both ``get`` can say more. Saves the happy path the cost of a
        coroutine, and the others a second trip.
        """
        state, plain = self._state, scope.plain
        now = state.now()  # before the store's clock: a stall between the two must shorten a life, not lengthen it
        if plain is None or not self._is_quick or type(key) is not str or scope.keys_until <= now or plain[3] <= now:
            return MISSING
        try:
            data = key.encode()
        except UnicodeEncodeError:  # a lone surrogate, which ``get`` refuses with its reason
            return MISSING
        entry = None
        if scope.partition is None:
            guard = state.stamps.guard(scope.cells)
        else:
            entry = state.stamps.capture(scope.cells, key)
            guard = entry.guard
        if guard is not plain[0] and guard != plain[0]:
            return MISSING
        store, names = self._store, scope.names
        now_ms = store.now_ms()  # type: ignore[union-attr]  # without a store there is no ``plain``
        # A key that is not in clear in its name is not found under this one, or somebody else's entry is, which does not open.
        blob = store.peek(names.of(key)[0] if names.is_hashed else names.prefix + key)  # type: ignore[union-attr]  # bound, as above
        if blob is None:
            if absent is MISSING or not (names.is_hashed or is_plain_key(key)):  # type: ignore[union-attr]  # bound, as above
                return MISSING
            scope.counts.misses += 1
            return absent
        if blob is UNKNOWN:
            return MISSING
        found = scope.channel.open_current(data, blob, plain[1], now_ms=now_ms)  # type: ignore[union-attr]  # the same
        if found is None:
            return self._seen(blob, entry, guard, now)
        if entry is not None and not self._kept(scope, key, entry, found, offset=now - now_ms / 1000, latest=plain[3]):
            return MISSING
        counts = scope.counts
        counts.hits_l2 += 1
        if counts.hits_l2 & SAMPLING == 1:
            state.timings.get.took(state.now() - now)
        return found[0]

    def _seen(self, blob: bytes, entry: Entry | None, guard: tuple[float, float], now: float) -> Seen:
        if entry is None:
            entry = Entry()
            entry.guard, entry.mark, entry.extra = guard, 0.0, None
        entry.until = now + self._state.options.copy_seconds
        return Seen(blob, entry)

    def _kept(self, scope: Scope, key: str, entry: Entry, found: CurrentValue, *, offset: float, latest: float) -> bool:
        """Put what was found in L1, until ``latest`` at most; False if this process has seen a newer value.

        ``offset`` is what the monotonic clock is ahead of the store's, in seconds.
        """
        state = self._state
        stamps, memory = state.stamps, state.memory
        _, raw, version, ends_ms = found
        old = scope.entries.get(key)
        if old is not None and old.version > version:
            return False
        if stamps.view[entry.lane] != entry.seen and not stamps.holds(scope.cells, key, entry):
            return True
        entry.version = version
        entry.value = raw if type(raw) is bytes else bytes(raw)
        entry.thaw = state.codec.load
        entry.size = len(raw) + _BYTES_OBJECT
        entry.seen = COLD  # most are not read again: the value stays as it came until it is
        # The store counts whole milliseconds: the one that has begun may be over.
        ends = FOREVER if ends_ms is None else offset + (ends_ms - 1) / 1000
        entry.until = min(latest, ends)
        try:
            memory.put(scope.partition, key, entry)  # type: ignore[union-attr, arg-type]  # there is an entry where there is L1
        except MemoryError:
            memory.shrink(0.2)  # type: ignore[union-attr]  # as above
        return True

    async def get(self, scope: Scope, key: str, default: Any, seen: Seen | None = None) -> Any:
        """Return the value under ``key``, from the store, or ``default``. Faults of the store are misses.

        With ``seen`` the store is not asked for it again.
        """
        key = check_key(key)
        store, state = self._store, self._state
        if store is None or state.options.disabled:
            scope.counts.misses += 1
            return default
        timing, began = state.timings.get, state.now()
        is_timed = timing.is_due()
        try:
            value = await self._found(store, scope, key, seen)
            if value is not MISSING:
                scope.counts.hits_l2 += 1
                return value
        except Refused as refused:
            self.report(scope, key, refused)
        except KeyNeverMade:
            pass  # read_only, and nothing stored: a miss like any other
        except (TierUnavailable, KeyUnavailable):
            scope.counts.unavailable += 1
            if state.options.strict:
                raise
        finally:
            if is_timed:
                timing.took(state.now() - began)
        scope.counts.misses += 1
        return default

    async def _found(self, store: Store, scope: Scope, key: str, seen: Seen | None) -> Any:
        """Return what the store has that is good, and keep it; else MISSING. Raises Refused where it does not decode."""
        if scope.keys_until <= self._state.now():
            await self._state.bind_keys(scope)
        if seen is None:
            seen = await self._look(store, scope, key)
        if seen is None:
            return MISSING
        standing, opened = await self.weigh(scope, key, seen.capture, seen.blob)
        if standing is not Standing.VALID or opened is None:
            return MISSING
        return self.keep(scope, key, seen.capture, opened)

    async def _look(self, store: Store, scope: Scope, key: str) -> Seen | None:
        entry = self._captured(scope, key)
        blob = await store.get(scope.names.of(key)[0])  # type: ignore[union-attr]  # bound by the caller
        return None if blob is None else Seen(blob, entry)

    def _captured(self, scope: Scope, key: str) -> Entry:
        """Capture what the read depends on; without L1 that is what the ledger copy is held against, and no key."""
        state = self._state
        if scope.partition is not None:
            return state.capture(scope, key)
        entry = Entry()
        entry.until = state.now() + state.options.copy_seconds
        entry.guard = state.stamps.guard(scope.cells)
        entry.mark, entry.extra = 0.0, None
        return entry

    async def get_many(self, scope: Scope, keys: Sequence[str]) -> dict[str, Any]:
        """Return the values that the store has of ``keys``, in one trip."""
        store, state = self._store, self._state
        keys = [check_key(key) for key in keys]
        found: dict[str, Any] = {}
        if store is None or state.options.disabled or not keys:
            scope.counts.misses += len(keys)
            return found
        slots = [state.capture(scope, key) for key in keys]
        try:
            if scope.keys_until <= state.now():
                await state.bind_keys(scope)
            of = scope.names.of  # type: ignore[union-attr]  # bound above
            blobs = await store.get_many([of(key)[0] for key in keys])
            for key, entry, blob in zip(keys, slots, blobs, strict=True):
                if blob is not None:
                    standing, opened = await self.weigh(scope, key, entry, blob)
                    if standing is Standing.VALID and opened is not None:
                        try:
                            found[key] = self.keep(scope, key, entry, opened)
                        except Refused as refused:
                            self.report(scope, key, refused)
        except KeyNeverMade:
            pass  # read_only, and nothing stored: a miss like any other
        except (TierUnavailable, KeyUnavailable):
            scope.counts.unavailable += 1
            if state.options.strict:
                raise
        scope.counts.hits_l2 += len(found)
        scope.counts.misses += len(keys) - len(found)
        return found

    async def weigh(self, scope: Scope, key: str, entry: Entry, blob: bytes) -> tuple[Standing, Opened | None]:
        """Open a stored blob and say what it is worth to a read whose capture is ``entry``.

        Sets the version, and for tagged entries the tags, of ``entry``.
        """
        channel = scope.channel
        if channel is None:
            channel = await self._state.bind_keys(scope)
        try:
            opened = channel.open(key, blob[1:])
        except Refused as refused:
            again = await self._open_again(scope, key, blob, refused)
            if again is None:
                return Standing.REFUSED, None
            opened = again
        standing = self._stand(scope, key, entry, opened, is_marked=blob[0] == STALE_MARK)
        if standing is None:
            learned = await self._learned(scope, entry)
            # Unknown a second time: it was invalidated while it was being looked up.
            standing = self._stand(scope, key, entry, opened, is_marked=blob[0] == STALE_MARK, learned=learned) or Standing.INVALIDATED
        return standing, opened

    def _stand(
        self, scope: Scope, key: str, entry: Entry, opened: Opened, *, is_marked: bool, learned: LedgerCopy | None = None
    ) -> Standing | None:
        """Weigh an opened entry by what this process knows, or just ``learned``; None where it has to ask the ledger first."""
        old = scope.entries.get(key)
        if old is not None and old.version > opened.version_no:
            return Standing.REPLAYED
        now_ms = self._store.now_ms()  # type: ignore[union-attr]  # a blob came from a store
        if opened.hard_at_ms is not None and opened.hard_at_ms <= now_ms:
            return Standing.EXPIRED
        entry.version = opened.version_no
        if opened.tags or entry.extra is not None:
            self._state.bind_tags(scope, entry, opened.tags)
        # What was just read answers even where its time is over already.
        is_new = learned is not None and learned.knows(entry.guard, scope.namespace, tag_marks(scope, entry))
        copy = learned if is_new else self.known_ledger(scope, entry)
        # A host that does not hear what others do may be the last to know of a new epoch: asked once before it says no.
        if copy is None or (copy is not learned and copy.epoch != opened.epoch and copy.until < FOREVER):
            return None
        entry.until = min(entry.until, copy.until)
        verdict = copy.judge(opened.epoch, opened.seq, scope.namespace, ledger_tags(scope, opened.tags))
        if verdict is Verdict.INVALIDATED:
            return Standing.INVALIDATED
        if verdict is Verdict.STALE or is_marked or (opened.soft_at_ms is not None and opened.soft_at_ms <= now_ms):
            return Standing.STALE
        return Standing.VALID

    async def _open_again(self, scope: Scope, key: str, blob: bytes, refused: Refused) -> Opened | None:
        """Open a refused blob under keys read anew, if it names a key unknown here; else report it. None: it stays refused."""
        if refused.reason is Refusal.UNKNOWN_KEY:
            renewed = await self._renewed(scope, blob)
            if renewed is not None:
                try:
                    return renewed.open(key, blob[1:])
                except Refused as again:
                    refused = again
        await self._refuse(scope, key, blob, refused)
        return None

    async def _renewed(self, scope: Scope, blob: bytes) -> Channel | None:
        ring = self._state.ring
        if ring is None or await ring.refresh(scope.tenant, blob[41:57]) is None:
            return None
        return await self._state.bind_keys(scope)

    async def _refuse(self, scope: Scope, key: str, blob: bytes, refused: Refused) -> None:
        """Report a frame, and remove exactly these bytes where they were forged or rotten under a key of ours."""
        self.report(scope, key, refused)
        if not refused.tampered or self._state.options.read_only:
            return
        scope.counts.tampered += 1
        if self._store is not None and scope.names is not None:
            try:
                await self._store.mutate([Delete(scope.names.of(key)[0], expect=blob[57:81])])
            except TierUnavailable:
                scope.counts.unavailable += 1  # it stays refused at each read
        if self._state.options.strict:
            raise EntryCorrupt(f"the entry under {named(key)} of tenant {scope.tenant} failed authentication; it was removed")

    def report(self, scope: Scope, key: str, refused: Refused) -> None:
        """Count a refusal and tell who listens, where it is to be told."""
        scope.counts.refused += 1
        self._state.refusals.note(refused, tenant=scope.tenant, namespace=scope.namespace, key=key)

    def known_ledger(self, scope: Scope, entry: Entry) -> LedgerCopy | None:
        """Return this process's ledger copy if it may answer for the capture ``entry``."""
        copy = self._state.ledgers.get(scope.tenant, _EMPTY)
        if copy.until <= self._state.now() or not copy.knows(entry.guard, scope.namespace, tag_marks(scope, entry)):
            return None
        return copy

    async def ledger(self, scope: Scope, entry: Entry) -> LedgerCopy:
        """Return a ledger copy that may answer for the capture ``entry``: this process's, or read anew."""
        known = self.known_ledger(scope, entry)
        if known is not None:
            return known
        return await self._learned(scope, entry)

    async def _learned(self, scope: Scope, entry: Entry) -> LedgerCopy:
        tags = ledger_tags(scope, entry.extra.tags) if entry.extra is not None else ()
        read = await self._store.ledger(scope.tenant, fields_of(scope.namespace, tags))  # type: ignore[union-attr]  # callers have one
        return self.learn(scope, entry, read)

    def learn(self, scope: Scope, entry: Entry, read: Ledger) -> LedgerCopy:
        """Take in what the store said of the ledger after the capture ``entry``; returns the copy that knows it."""
        state = self._state
        copy = state.ledgers.get(scope.tenant, _EMPTY)
        if copy.epoch and read.epoch != copy.epoch:
            # Whoever made the new epoch may have died before its touch: what is held under the old one goes.
            state.stamps.touch_tenant(scope.cells)
        if copy.until <= state.now():
            copy = _EMPTY  # its fields are too old to go on with
        copy = copy.learn(read, entry.guard, scope.namespace, tag_marks(scope, entry), until=entry.until)
        state.ledgers[scope.tenant] = copy
        scope.plain = (entry.guard, Current(copy.epoch, copy.least_seq(scope.namespace)), copy, copy.until)
        return copy

    def keep(self, scope: Scope, key: str, entry: Entry, opened: Opened) -> Any:
        """Decode an opened value, put it in L1, and return it as the caller's own. Raises Refused where it does not decode."""
        state = self._state
        value = state.codec.unpack(opened)
        if scope.partition is None or opened.flags & HIGH:
            return value
        entry.value, entry.thaw, entry.size = isolate(value, opened, state.codec)
        now = state.now()
        # The store counts whole milliseconds: the one that has begun may be over, and a limit is never overstepped.
        now_ms = self._store.now_ms() + 1  # type: ignore[union-attr]  # opened came from a store
        hard = FOREVER if opened.hard_at_ms is None else now + (opened.hard_at_ms - now_ms) / 1000
        soft = hard if opened.soft_at_ms is None else now + (opened.soft_at_ms - now_ms) / 1000
        entry.until = min(entry.until, soft)
        if entry.extra is not None:
            entry.extra.hard = hard
        state.place(scope, key, entry)
        return value


def ledger_tags(scope: Scope, tags: Sequence[str]) -> Sequence[str]:
    """Return the texts that stand for tags in the ledger: themselves, or hashes where names are private."""
    names = scope.names
    return tags if not tags or names is None else [names.tag(tag) for tag in tags]


def tag_marks(scope: Scope, entry: Entry) -> Sequence[tuple[str, float]]:
    """Return the entry's tags as they stand in the ledger, each with the number its cell had at the capture."""
    extra = entry.extra
    return () if extra is None else tuple(zip(ledger_tags(scope, extra.tags), entry.mark[1:], strict=True))


_EMPTY: Final = LedgerCopy()
