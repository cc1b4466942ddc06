"""One thing that doctor looked at, and what to do about it."""

import enum
from dataclasses import dataclass


class Status(enum.StrEnum):
    """How a check came out; only a finding makes doctor exit 1."""

    OK = "ok"
    NOTE = "note"
    FINDING = "finding"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what was seen, and the fix where one is needed."""

    name: str
    status: Status
    seen: str
    fix: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return plain data."""
        return {"check": self.name, "status": self.status.value, "seen": self.seen, "fix": self.fix}


def ok(name: str, seen: str) -> Check:
    """Return a check that found nothing."""
    return Check(name, Status.OK, seen)


def note(name: str, seen: str, fix: str = "") -> Check:
    """Return a check whose result is worth knowing and no fault."""
    return Check(name, Status.NOTE, seen, fix)


def finding(name: str, seen: str, fix: str) -> Check:
    """Return a check that found a fault."""
    return Check(name, Status.FINDING, seen, fix)
