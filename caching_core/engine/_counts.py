"""Plain counters of one tenant and namespace; L1 hits are counted by the slots themselves."""

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Counts:
    """What happened below L1. ``+=`` on these is atomic enough for CPython's lock: nothing is lost between threads."""

    hits_l2: int = 0
    misses: int = 0
    loads: int = 0
    load_errors: int = 0
    joined: int = 0
    stale_served: int = 0
    sets: int = 0
    sets_skipped: int = 0
    fills_refused: int = 0
    deletes: int = 0
    invalidations: int = 0
    refused: int = 0
    tampered: int = 0
    unavailable: int = 0

    def add(self, other: "Counts") -> None:
        """Add the figures of another scope to these."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
