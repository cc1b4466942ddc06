"""Door: serialisers of the application's own."""

from caching_core.codec import BaseSerializer

__all__ = ["BaseSerializer"]
