"""Assembly: the only place that wires the parts, and the registry of what is open in this process."""

from caching_core.assembly._from_config import may_be_away, server_of
from caching_core.assembly._instance import Instance
from caching_core.assembly._process import acquire, close_all, keep, newest, release, renew

__all__ = ["Instance", "acquire", "close_all", "keep", "may_be_away", "newest", "release", "renew", "server_of"]
