"""Lifetimes: what a caller's ttl and stale_ttl mean in the frame and in L1."""

from dataclasses import dataclass

from caching_core.tenancy import check_stale_ttl, check_ttl
from caching_core.types import Unset


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Milliseconds until a value is stale (None: as ``hard_ms``) and until it is gone (None: never)."""

    soft_ms: int | None
    hard_ms: int | None

    @property
    def is_over(self) -> bool:
        """Return whether the value would be expired at once."""
        return self.hard_ms == 0


def lifetime(ttl: float | Unset | None, stale_ttl: float | None, *, default: float | None) -> Lifetime:
    """Return the lifetime for a ``ttl`` (seconds; None: for ever; unset: ``default``) and a stale period after it.

    Raises TTLInvalid.
    """
    fresh = default if isinstance(ttl, Unset) else check_ttl(ttl)
    stale = check_stale_ttl(stale_ttl)
    if fresh is None:
        return Lifetime(None, None)
    soft = _milliseconds(fresh)
    if soft == 0:
        return Lifetime(None, 0)
    return Lifetime(soft, _milliseconds(fresh + stale)) if stale else Lifetime(None, soft)


def _milliseconds(seconds: float) -> int:
    # Frames count in units of 10 ms; what is more than nothing must not become nothing.
    return max(10, round(seconds * 1000)) if seconds > 0 else 0
