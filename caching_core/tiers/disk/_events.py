"""What the disk tier tells its hook: that it was voided, that a damaged file was set aside, that upkeep has to wait."""

from caching_core.events import StoreQuarantined, StoreVoided, UpkeepFailed

__all__ = ["DiskEvent", "StoreQuarantined", "StoreVoided", "UpkeepFailed"]

DiskEvent = StoreVoided | StoreQuarantined | UpkeepFailed
