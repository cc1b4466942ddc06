"""Whether the levels of a cache answer."""

import enum
import time
from dataclasses import dataclass
from typing import Any, Final

from caching_core.errors import TierUnavailable
from caching_core.tiers import Store
from caching_core.types import CacheLevel

_PROBED: Final = "cc:{@health}:probe"  # nothing stands there


class Condition(enum.StrEnum):
    """How a tier is: absent is one that the settings ask for and this host or user cannot have."""

    UP = "up"
    DOWN = "down"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class TierHealth:
    """One tier: ``seconds`` is how long it took to answer; ``reason`` why it does not, for operators: it may name paths."""

    level: CacheLevel
    tier: str
    condition: Condition
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """The tiers of a cache at one moment, memory first."""

    tiers: tuple[TierHealth, ...]

    @property
    def conditions(self) -> tuple[tuple[str, Condition], ...]:
        """Return each tier and how it is, without how long it took to say so."""
        return tuple((tier.tier, tier.condition) for tier in self.tiers)

    @property
    def is_healthy(self) -> bool:
        """Return whether no tier is down: an absent one is missed, and waiting brings it back as little as a new start."""
        return all(tier.condition is not Condition.DOWN for tier in self.tiers)

    @property
    def status(self) -> str:
        """Return ``ok`` where every tier is up, else ``degraded``: the cache goes on with what is left."""
        return "ok" if all(tier.condition is Condition.UP for tier in self.tiers) else "degraded"

    def as_dict(self) -> dict[str, Any]:
        """Return a plain mapping for JSON, without the reasons: who asks for it may be anybody."""
        tiers = [
            {"level": tier.level.value, "tier": tier.tier, "status": tier.condition.value, "milliseconds": round(tier.seconds * 1000, 3)}
            for tier in self.tiers
        ]
        return {"status": self.status, "tiers": tiers}


async def probe(store: Store, *, level: CacheLevel, tier: str) -> TierHealth:
    """Ask a store for a key that nobody has, and say whether and when it answered; its own deadline bounds that."""
    began = time.monotonic()
    try:
        await store.get(_PROBED)
    except TierUnavailable as error:
        return TierHealth(level, tier, Condition.DOWN, time.monotonic() - began, str(error))
    return TierHealth(level, tier, Condition.UP, time.monotonic() - began)
