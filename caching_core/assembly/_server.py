"""The Redis or Valkey server as this process has it: one health and one clock, with a store for each world."""

from collections.abc import Callable
from typing import Any

from caching_core.config import CacheConfig
from caching_core.runtime import is_driven, run_sync
from caching_core.tiers.redis import CONNECT_SECONDS, Address, BlockingLink, Health, Link, LoopLink, RedisStore


class Server:
    """Connections of this process to the server that ``l2.redis_url`` names; nothing is connected before it is used."""

    def __init__(self, config: CacheConfig, *, on_change: Callable[[str | None], None]) -> None:
        """``on_change`` hears why the server is lost, and None when it is back. Raises ConfigInvalid."""
        l2 = config.l2
        assert l2.redis_url is not None  # noqa: S101 -- for the type checker: the caller asked
        password = None if l2.redis_password is None else l2.redis_password.reveal()
        address = Address.parse(l2.redis_url.reveal(), username=l2.redis_username, password=password, tls=l2.redis_tls)
        self.on_change = on_change
        health = Health(address, recovery_timeout=config.resilience.recovery_timeout, on_change=self._tell)
        self.where = address.where
        self.link = BlockingLink(health, deadline=l2.deadline)
        self._loop_link = LoopLink(health, deadline=l2.deadline)
        self.blocking = RedisStore(self.link, deadline=l2.deadline)
        self.loop = RedisStore(self._loop_link, beside=self.blocking, deadline=l2.deadline)
        self.key_link: Link = WorldLink(self.link, self._loop_link)

    def _tell(self, reason: str | None) -> None:
        self.on_change(reason)

    def reach(self) -> None:
        """Have a connection made, for which there is more time than for a call. Raises TierUnavailable."""
        self.link.reach(CONNECT_SECONDS)

    def start(self) -> None:
        """Learn the server's time, which tells that it is there. Raises TierUnavailable."""
        run_sync(self.blocking.synchronise())

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        self.loop.close()
        self.blocking.close()


class WorldLink:
    """Asks over the link of the world that the caller lives in: for what both worlds share, like the keystore.

    A coroutine of an event loop must not hold up the others on that loop; one that ``run_sync`` drives must not suspend.
    """

    answers_at_once = False
    __slots__ = ("_blocking", "_loop", "where")

    def __init__(self, blocking: Link, loop: Link) -> None:
        """Both stay their owner's."""
        self._blocking, self._loop = blocking, loop
        self.where = blocking.where

    @property
    def lost(self) -> str | None:
        """Why callers are turned away, while the server is away."""
        return self._blocking.lost

    def ask_now(self, packed: bytes, count: int = 1, *, again: bool = False) -> list[Any] | None:  # Any: what the server replies
        """Return None: who may be made to wait is not known here."""
        del packed, count, again
        return None

    async def ask(self, packed: bytes, count: int = 1, *, again: bool = False) -> list[Any]:
        """Send packed commands and return their replies. Raises TierUnavailable or DeadlineExceeded."""
        return await (self._blocking if is_driven() else self._loop).ask(packed, count, again=again)

    def close(self) -> None:
        """Do nothing: the links are their owner's."""
