"""What the cache learns from its use: lifetimes of keys."""

from caching_core.learning._adaptive_ttl import AdaptiveTTL
from caching_core.learning._template import template_of

__all__ = ["AdaptiveTTL", "template_of"]
