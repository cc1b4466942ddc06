"""For tests, yours and ours: a clock that you move, and the contract that every store passes. Needs pytest."""

from caching_core.testing._clock import ManualClock
from caching_core.testing._stage import Stage, World, driven
from caching_core.testing._tier_contract import TierContract

__all__ = ["ManualClock", "Stage", "TierContract", "World", "driven"]
