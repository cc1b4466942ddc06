"""Why a request is nobody's, and how that is told: RFC 9457, ``application/problem+json``."""

import enum
import json
from dataclasses import dataclass
from typing import Final

PROBLEM_JSON: Final = "application/problem+json"


class Cause(enum.StrEnum):
    """What was wrong, for the audit log; an answer tells less."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"  # or foreign: not one of this cache's
    CONTRADICTED = "contradicted"  # two resolvers named two tenants


_BAD_REQUEST: Final = {
    Cause.MISSING: "The request does not say which tenant it belongs to.",
    Cause.MALFORMED: "What the request names is not a tenant id.",
}


@dataclass(frozen=True, slots=True)
class Rejection:
    """The answer to a request without a tenant: 400 where it says none, 403 where it may not have the one that it says."""

    cause: Cause

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return 400 if self.cause in _BAD_REQUEST else 403

    @property
    def detail(self) -> str:
        """Return what the caller may know: 403 is one text, since another would tell which tenants there are."""
        return _BAD_REQUEST.get(self.cause, "The request may not be made for this tenant.")

    def problem(self) -> dict[str, object]:
        """Return the problem document."""
        return {"type": "about:blank", "title": _TITLES[self.status], "status": self.status, "detail": self.detail}

    def body(self) -> bytes:
        """Return the problem document as JSON, of the media type ``PROBLEM_JSON``."""
        return json.dumps(self.problem(), separators=(",", ":")).encode()


_TITLES: Final = {400: "Bad Request", 403: "Forbidden"}
