"""The port to an authoritative store: what a shared tier does for the engine, in the fewest trips.

A store keeps *frames* (opaque sealed bytes, one mark byte before each) under physical names, a
ledger per tenant, and leases. It never opens a frame. Times are milliseconds of the store's own
clock (``now_ms``), which no wall-clock jump moves.

Ledger fields: ``t:<tag>`` hard and ``s:<tag>`` soft invalidation, ``s:@all``, ``n:<namespace>``.
A missing tag field counts as the ledger's floor; a missing namespace field as 0.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

FRESH_MARK = 0
STALE_MARK = 1


@dataclass(frozen=True, slots=True)
class Ledger:
    """A tenant's ledger as read in one step: ``epoch`` (random bytes), ``seq``, ``floor``, the asked-for fields."""

    epoch: bytes
    seq: int
    floor: int
    fields: Mapping[str, int]


class Expect(enum.Enum):
    """What must stand under a name for a change to happen, where no nonce is given."""

    ANYTHING = "anything"
    ABSENT = "absent"


class Peek(enum.Enum):
    """The answer of a store that cannot answer at once."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Peek.UNKNOWN


@dataclass(frozen=True, slots=True)
class Put:
    """Store ``frame`` under ``name`` until ``expires_ms`` (None = never), voiding any lease on it.

    ``token``: a fill, done only while that lease token lives (the lease ends with it).
    ``expect``: the 24-byte nonce of the row that must still stand, or an ``Expect``.
    ``not_after_ms``: refused when the store's clock is past it. ``version_no``: refused where a higher one stands:
    this value was sealed before that one, and who has seen that one would not believe this one.
    """

    name: str
    frame: bytes
    expires_ms: int | None
    token: bytes | None = None
    expect: bytes | Expect = Expect.ANYTHING
    not_after_ms: int | None = None
    version_no: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove ``name`` and void its lease; with ``expect`` only if exactly that frame's nonce stands there."""

    name: str
    expect: bytes | Expect = Expect.ANYTHING


@dataclass(frozen=True, slots=True)
class MarkStale:
    """Set the mark byte of ``name`` to stale, if it is there."""

    name: str


@dataclass(frozen=True, slots=True)
class BumpTags:
    """Raise ``seq`` and write it to the fields of ``tags`` (``s:`` instead of ``t:`` when soft)."""

    tenant: str
    tags: tuple[str, ...]
    soft: bool = False


@dataclass(frozen=True, slots=True)
class BumpNamespace:
    """Raise ``seq`` and write it to the namespace's field: everything older in it is invalid."""

    tenant: str
    namespace: str


@dataclass(frozen=True, slots=True)
class NewEpoch:
    """Forget the tenant's ledger and draw a new epoch: everything older of the tenant is invalid.

    With ``soft`` the epoch stays and ``s:@all`` is raised: everything older is stale.
    """

    tenant: str
    soft: bool = False


EntryChange = Put | Delete | MarkStale
LedgerChange = BumpTags | BumpNamespace | NewEpoch


@dataclass(frozen=True, slots=True)
class Changed:
    """The answer to ``mutate``: per entry change whether it happened, and the store's clock."""

    done: Sequence[bool]
    now_ms: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The answer to ``lease``: the token was granted, or a frame stands there, or another loads."""

    granted: bool
    frame: bytes | None
    ledger: Ledger | None
    now_ms: int


@dataclass(frozen=True, slots=True)
class StoreUsage:
    """What a store holds: live entries, bytes of frames, bytes on disk, evictions and expiries so far."""

    entries: int
    frame_bytes: int
    stored_bytes: int
    evicted: int = 0
    expired: int = 0
    details: Mapping[str, object] = field(default_factory=dict[str, object])


class Clock(Protocol):
    """A store's clock, in milliseconds; an attribute of the store, so that reading it costs one call."""

    def __call__(self) -> int:
        """Return the time."""
        ...


class Store(Protocol):
    """An authoritative tier. Methods raise TierUnavailable (or DeadlineExceeded), never a driver's error."""

    @property
    def now_ms(self) -> Clock:
        """The store's clock."""
        ...

    @property
    def answers_at_once(self) -> bool:
        """Tell whether ``peek`` and ``put_now`` are worth trying: they can answer here without suspending the caller."""
        ...

    def peek(self, name: str) -> bytes | Peek | None:
        """Answer as ``get`` does, where that takes no waiting and no repair; else UNKNOWN: ask ``get``.

        A row past its time may be answered: the frame tells its lifetime, and who opens it looks.
        """
        ...

    def put_now(self, name: str, frame: bytes, expires_ms: int | None, version_no: int) -> bool:
        """Do an unconditional Put where that takes no waiting and no repair; False: nothing is known, ask ``mutate``."""
        ...

    async def get(self, name: str) -> bytes | None:
        """Return mark byte + frame, or None. Rows past ``expires_ms`` are None."""
        ...

    async def get_many(self, names: Sequence[str]) -> list[bytes | None]:
        """Return one answer per name, in order."""
        ...

    async def ledger(self, tenant: str, fields: Sequence[str]) -> Ledger:
        """Read the tenant's ledger (made on first use): epoch, seq, floor, and those of ``fields`` that exist."""
        ...

    async def lease(self, name: str, token: bytes, ttl_ms: int, *, tenant: str, bad: bytes | None, fields: Sequence[str] | None) -> Lease:
        """Take the right to load ``name``.

        If a frame stands there whose nonce is not ``bad``, it is returned instead. The ledger comes
        with a granted lease, unless ``fields`` is None: then the caller knows it.
        """
        ...

    async def release(self, name: str, token: bytes) -> None:
        """Give a lease back without a fill; nothing happens if it is no longer ours."""
        ...

    async def mutate(self, entries: Sequence[EntryChange], ledger: Sequence[LedgerChange] = ()) -> Changed:
        """Apply all changes in one atomic step."""
        ...

    async def names(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        """List physical names with this prefix, sorted, after a cursor."""
        ...

    async def usage(self) -> StoreUsage:
        """Return what the store holds."""
        ...

    async def maintain(self) -> None:
        """Expire, evict and check, in one bounded step; called about once a second by a worker."""
        ...

    def close(self) -> None:
        """Release connections of this process; the store can be used again only by a new object."""
        ...
