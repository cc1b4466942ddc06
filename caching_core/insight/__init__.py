"""What is known of the cache at work: figures, and later series, analytics and recommendations."""

from caching_core.insight._stats import CacheStats

__all__ = ["CacheStats"]
