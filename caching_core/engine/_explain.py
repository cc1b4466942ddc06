"""Explain: where a key's value is, how it is kept, or why a read of it is a miss. Changes nothing, counts nothing."""

from dataclasses import asdict, dataclass, field
from typing import Any

from caching_core.codec import CompressorId, Opened, Refusal, Refused, SerializerId
from caching_core.engine._read import HIGH, Reader, Standing
from caching_core.engine._scope import EngineState, Scope
from caching_core.errors import KeyNeverMade, KeyUnavailable, TierUnavailable
from caching_core.tenancy import check_key
from caching_core.tiers import Store
from caching_core.tiers.memory import Entry
from caching_core.types import CacheLevel


@dataclass(frozen=True, slots=True)
class Explanation:
    """What ``explain`` found. Times in seconds, sizes in bytes; ``reason`` says why it is a hit or a miss."""

    key: str
    tenant: str
    namespace: str
    hit: bool
    level: CacheLevel | None
    reason: str
    ttl: float | None = None
    stale_ttl: float | None = None
    size: int | None = None
    stored_size: int | None = None
    serializer: str | None = None
    compressor: str | None = None
    sealed: bool = False
    key_id: str | None = None
    version_no: int | None = None
    tags: tuple[str, ...] = ()
    load_cost_ms: int | None = None
    policy: str | None = None
    notes: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """Return a plain mapping, for JSON."""
        return asdict(self)


class Explainer:
    """The verb ``explain``."""

    __slots__ = ("_reader", "_state", "_store")

    def __init__(self, state: EngineState, store: Store | None, reader: Reader) -> None:
        self._state = state
        self._store = store
        self._reader = reader

    async def explain(self, scope: Scope, key: str) -> Explanation:
        """Return where the value of ``key`` is and how it is kept, or why there is none."""
        key = check_key(key)
        state = self._state
        notes = self._notes()
        if state.options.disabled:
            return self._miss(scope, key, "the cache is disabled (CACHING_DISABLED): every get is a miss", notes)
        entry = scope.entries.get(key)
        held = entry if entry is not None and state.recheck(scope, key, entry) else None
        if self._store is None:
            if held is not None:
                return self._from_memory(scope, key, held, notes)
            return self._miss(scope, key, self._why_not_in_memory(scope, key), notes)
        try:
            if scope.keys_until <= state.now() or scope.names is None:
                await state.bind_keys(scope)
            assert scope.names is not None  # noqa: S101 -- for the type checker: bound above
            capture = state.capture(scope, key)
            blob = await self._store.get(scope.names.of(key)[0])
            if blob is None and held is not None:
                return self._from_memory(scope, key, held, (*notes, "the store has no row of it: evicted there, or never taken"))
            if blob is None:
                return self._miss(scope, key, "absent: nothing is stored under this key, or its lifetime has ended", notes)
            return await self._from_store(scope, key, blob, notes, capture=capture, held=held)
        except (TierUnavailable, KeyUnavailable) as error:
            if held is not None:
                return self._from_memory(scope, key, held, (*notes, f"the store is away: {error}"))
            is_absent = isinstance(error, KeyNeverMade)
            away = "absent" if is_absent else "the store is away" if isinstance(error, TierUnavailable) else "its keys cannot be had"
            return self._miss(scope, key, f"{away}: {error}", notes)

    async def _from_store(
        self, scope: Scope, key: str, blob: bytes, notes: tuple[str, ...], *, capture: Entry, held: Entry | None
    ) -> Explanation:
        channel = scope.channel or await self._state.bind_keys(scope)
        try:
            opened = channel.open(key, blob[1:])
        except Refused as refused:
            return self._refused(scope, key, refused, notes, held=held)
        standing, _ = await self._reader.weigh(scope, key, capture, blob)
        if standing is not Standing.VALID:
            return self._miss(scope, key, f"{standing.value}: {_WHY[standing]}", notes, opened=opened)
        try:
            self._state.codec.unpack(opened)
        except Refused as refused:
            return self._refused(scope, key, refused, notes, held=held, opened=opened)
        level = CacheLevel.L1 if held is not None else CacheLevel.L2
        below = self._state.options.store_place
        where = f"in memory and {below}" if held is not None else f"{below}; the next get puts it in memory"
        if opened.flags & HIGH:
            where = f"{below} only: high security keeps it out of memory"
        return Explanation(
            key, scope.tenant, scope.namespace, hit=True, level=level, reason=where, **self._details(opened, blob), notes=notes
        )

    def _refused(
        self, scope: Scope, key: str, refused: Refused, notes: tuple[str, ...], *, held: Entry | None, opened: Opened | None = None
    ) -> Explanation:
        reason = refused.reason.value
        if held is not None:
            return self._from_memory(scope, key, held, (*notes, f"what the store has is refused: {reason}"))
        return self._miss(scope, key, f"refused: {reason}{_REMEDY.get(refused.reason, '')}", notes, opened=opened)

    def _details(self, opened: Opened, blob: bytes) -> dict[str, Any]:
        assert self._store is not None  # noqa: S101 -- for the type checker: opened came from a store
        now = self._store.now_ms()
        hard = None if opened.hard_at_ms is None else (opened.hard_at_ms - now) / 1000
        soft = None if opened.soft_at_ms is None else (opened.soft_at_ms - now) / 1000
        return {
            "ttl": hard if soft is None else soft,
            "stale_ttl": None if soft is None or hard is None else hard - max(soft, 0.0),
            "size": len(opened.raw),
            "stored_size": len(blob),
            "serializer": opened.user or SerializerId(opened.serializer).name.lower(),
            "compressor": CompressorId(blob[8]).name.lower(),
            "sealed": blob[1:3] == b"\xcc\xe1",
            "key_id": blob[41:57].hex() if blob[1:3] == b"\xcc\xe1" else None,
            "version_no": opened.version_no,
            "tags": opened.tags,
            "load_cost_ms": opened.cost_ms or None,
            "policy": self._running(),
        }

    def _from_memory(self, scope: Scope, key: str, entry: Entry, notes: tuple[str, ...]) -> Explanation:
        left = entry.until - self._state.now()
        return Explanation(
            key, scope.tenant, scope.namespace, hit=True, level=CacheLevel.L1, reason="in memory",
            ttl=None if left == float("inf") else left, size=entry.size, version_no=entry.version,
            tags=entry.extra.tags if entry.extra is not None else (), policy=self._running(), notes=notes,
        )  # fmt: skip

    def _why_not_in_memory(self, scope: Scope, key: str) -> str:
        entry = scope.entries.get(key)
        if entry is None:
            return "absent: never stored here, evicted, or invalidated"
        if entry.until <= self._state.now():
            return "expired: its lifetime has ended"
        return "invalidated: its key, a tag, its namespace or its tenant was invalidated after it was stored"

    def _miss(self, scope: Scope, key: str, reason: str, notes: tuple[str, ...], *, opened: Opened | None = None) -> Explanation:
        tags = opened.tags if opened is not None else ()
        version = opened.version_no if opened is not None else None
        return Explanation(
            key,
            scope.tenant,
            scope.namespace,
            hit=False,
            level=None,
            reason=reason,
            tags=tags,
            version_no=version,
            policy=self._running(),
            notes=notes,
        )

    def _running(self) -> str | None:
        return self._state.memory.running if self._state.memory is not None else None

    def _notes(self) -> tuple[str, ...]:
        memory = self._state.memory
        if memory is None:
            return ("memory (L1) is switched off",)
        return (memory.policy_note,) if memory.policy_note else ()


_REMEDY = {
    Refusal.SERIALIZER: ", its serialiser is not registered here (call register_serializer), or the setting pickle does not allow it",
    Refusal.SCHEMA: ", a class in it is not registered in this process, or has another shape; call register_class",
    Refusal.VALUE: ", its serialiser does not make a value of it",
}
_WHY = {
    Standing.STALE: "its fresh period is over; get_or_set loads it anew",
    Standing.EXPIRED: "its lifetime has ended",
    Standing.INVALIDATED: "a tag, the namespace or the tenant was invalidated after it was stored",
    Standing.REPLAYED: "this process has already seen a newer value under this key",
    Standing.REFUSED: "it could not be opened",
}
