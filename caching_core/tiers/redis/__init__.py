"""The Redis tier: one Redis or Valkey server that many hosts share, for blocking callers and for event loops."""

from caching_core.tiers.redis._address import CONNECT_SECONDS, Address
from caching_core.tiers.redis._blocking import BlockingLink
from caching_core.tiers.redis._clock import ServerClock
from caching_core.tiers.redis._commands import command
from caching_core.tiers.redis._health import Health
from caching_core.tiers.redis._loop import LoopLink
from caching_core.tiers.redis._port import Link
from caching_core.tiers.redis._replies import ServerSaid, checked
from caching_core.tiers.redis._store import RedisStore

__all__ = [
    "CONNECT_SECONDS",
    "Address",
    "BlockingLink",
    "Health",
    "Link",
    "LoopLink",
    "RedisStore",
    "ServerClock",
    "ServerSaid",
    "checked",
    "command",
]
