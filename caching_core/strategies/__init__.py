"""Door: strategies that decide what is cached and for how long."""

from caching_core.engine import CustomStrategy

__all__ = ["CustomStrategy"]
