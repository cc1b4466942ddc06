"""What watches a cache at work: health checks, and later a monitor and alerts."""

from caching_core.monitoring._health_checker import HealthChecker

__all__ = ["HealthChecker"]
