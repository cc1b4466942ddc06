"""The disk tier: a store in one SQLite file, exact between all processes of a host."""

from caching_core.tiers.disk._events import DiskEvent, StoreQuarantined, StoreVoided, UpkeepFailed
from caching_core.tiers.disk._generation import StoreGeneration
from caching_core.tiers.disk._place import own_directory
from caching_core.tiers.disk._store import DiskStore

__all__ = ["DiskEvent", "DiskStore", "StoreGeneration", "StoreQuarantined", "StoreVoided", "UpkeepFailed", "own_directory"]
