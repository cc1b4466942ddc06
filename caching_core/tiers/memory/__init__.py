"""The memory tier (L1): entries, their partitions, and the tier that bounds them."""

from caching_core.tiers.memory._entry import Entry, Partition
from caching_core.tiers.memory._tier import POLICIES, MemoryTier
from caching_core.tiers.memory._usage import MemoryUsage, TenantUsage

__all__ = ["POLICIES", "Entry", "MemoryTier", "MemoryUsage", "Partition", "TenantUsage"]
