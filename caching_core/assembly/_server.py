"""The Redis or Valkey server as this process has it: one health and one clock, with a store for each world."""

from collections.abc import Callable

from caching_core.config import CacheConfig
from caching_core.runtime import run_sync
from caching_core.tiers.redis import Address, BlockingLink, Health, LoopLink, RedisStore


class Server:
    """Connections of this process to the server that ``l2.redis_url`` names; nothing is connected before it is used."""

    def __init__(self, config: CacheConfig, *, on_change: Callable[[str | None], None]) -> None:
        """``on_change`` hears why the server is lost, and None when it is back. Raises ConfigInvalid."""
        l2 = config.l2
        assert l2.redis_url is not None  # noqa: S101 -- for the type checker: the caller asked
        password = None if l2.redis_password is None else l2.redis_password.reveal()
        address = Address.parse(l2.redis_url.reveal(), username=l2.redis_username, password=password, tls=l2.redis_tls)
        health = Health(address, recovery_timeout=config.resilience.recovery_timeout, on_change=on_change)
        self.where = address.where
        self.link = BlockingLink(health, deadline=l2.deadline)
        self._loop_link = LoopLink(health, deadline=l2.deadline)
        self.blocking = RedisStore(self.link)
        self.loop = RedisStore(self._loop_link, beside=self.blocking)

    def start(self) -> None:
        """Learn the server's time, which tells that it is there. Raises TierUnavailable."""
        run_sync(self.blocking.synchronise())

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        self.loop.close()
        self.blocking.close()
