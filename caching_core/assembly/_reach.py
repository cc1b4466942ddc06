"""A server that has been reached ahead of the cache that is to use it: there is more time for a connection than for a call."""

from typing import TYPE_CHECKING

from caching_core.assembly._from_config import is_remote, server_of
from caching_core.config import CacheConfig

if TYPE_CHECKING:
    from caching_core.assembly._server import Server


class Reach:
    """Kept by a cache that lost its server, for the one that comes after it."""

    __slots__ = ("_config", "_server")

    def __init__(self, config: CacheConfig) -> None:
        """Reach nothing yet."""
        self._config = config
        self._server: Server | None = None

    def reach(self) -> None:
        """Have a connection made, where the configuration names a server. Raises TierUnavailable."""
        if not is_remote(self._config):
            return
        server = self._server = server_of(self._config)
        try:
            server.reach()
        except BaseException:
            self.close()
            raise

    def take(self) -> "Server":
        """Return the server, reached or not; it is the caller's from now on."""
        server, self._server = self._server, None
        return server_of(self._config) if server is None else server

    def close(self) -> None:
        """Let nobody wait for it any more."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
