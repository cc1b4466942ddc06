"""What the disk tier tells its hook: that it was voided, or that a damaged file was set aside."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StoreVoided:
    """Everything in the store was given up at once, so that a change which could not be written is not lost.

    ``generation`` is the one that follows; ``reason`` says what went wrong, without names or values.
    """

    generation: str
    reason: str


@dataclass(frozen=True, slots=True)
class StoreQuarantined:
    """A file that SQLite calls damaged was renamed to ``kept_as`` (None: it was gone already); a new one follows."""

    kept_as: Path | None
    reason: str


@dataclass(frozen=True, slots=True)
class UpkeepFailed:
    """A step of ``maintain`` could not be done; the next one tries again."""

    reason: str


DiskEvent = StoreVoided | StoreQuarantined | UpkeepFailed
