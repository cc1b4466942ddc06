"""The tiers: memory, disk, and the port that every authoritative store implements."""

from caching_core.tiers._protocol import (
    FRESH_MARK,
    STALE_MARK,
    BumpNamespace,
    BumpTags,
    Changed,
    Delete,
    EntryChange,
    Expect,
    Lease,
    Ledger,
    LedgerChange,
    MarkStale,
    NewEpoch,
    Put,
    Store,
    StoreUsage,
)

__all__ = [
    "FRESH_MARK",
    "STALE_MARK",
    "BumpNamespace",
    "BumpTags",
    "Changed",
    "Delete",
    "EntryChange",
    "Expect",
    "Lease",
    "Ledger",
    "LedgerChange",
    "MarkStale",
    "NewEpoch",
    "Put",
    "Store",
    "StoreUsage",
]
