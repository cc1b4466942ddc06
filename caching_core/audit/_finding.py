"""What can be wrong with a log, and the verdict on it."""

import enum
from dataclasses import dataclass


class Status(enum.StrEnum):
    """The verdict on a log."""

    GOOD = "good"
    TAMPERED = "tampered"
    INCOMPLETE = "incomplete"

    @property
    def exit_code(self) -> int:
        """Return what a command ends with: 0, 2 or 3."""
        return {"good": 0, "tampered": 2, "incomplete": 3}[self.value]


class Fault(enum.StrEnum):
    """What is wrong with a log."""

    EDITED = "edited"
    MISSING = "missing"
    REORDERED = "reordered"
    FORKED = "forked"
    TRUNCATED = "truncated"
    BAD_SIGNATURE = "bad_signature"
    CLOCK_BACK = "clock_back"


@dataclass(frozen=True, slots=True)
class Finding:
    """The first thing that does not hold: at which record, of which kind, in words."""

    seq: int
    fault: Fault
    message: str


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of ``verify``. ``finding`` is set where the log was tampered with; ``notes`` are for the reader."""

    status: Status
    log: str = ""
    records: int = 0
    checkpoints: int = 0
    finding: Finding | None = None
    public_key: str = ""
    notes: tuple[str, ...] = ()
