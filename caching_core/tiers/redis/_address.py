"""Where the server is, and how to reach it: what a configuration says becomes what redis-py's connections take."""

# redis-py leaves what it reads from addresses without types.
# pyright: reportUnknownVariableType=false

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.retry import Retry

from caching_core.errors import ConfigInvalid

CONNECT_SECONDS: Final = 2.0
_OWN: Final = frozenset({"connection_class", "db", "host", "password", "path", "port", "username"})
_OF_POOLS: Final = ("max_connections", "timeout")  # the links keep their connections themselves
_SCHEMES: Final = {"valkey": "redis", "valkeys": "rediss"}


@dataclass(frozen=True, slots=True)
class Address:
    """One server. ``where`` names it without its secrets; ``options`` are redis-py's, and are never shown."""

    where: str
    kind: type[Connection] | type[SSLConnection] | type[UnixDomainSocketConnection]
    options: Mapping[str, Any]  # Any: each option has its own type

    def __repr__(self) -> str:
        """Name the server only."""
        return f"Address({self.where!r})"

    @classmethod
    def parse(cls, url: str, *, username: str | None = None, password: str | None = None, tls: bool = False) -> "Address":
        """Read a URL; name, password and TLS given apart from it count where it has none. Raises ConfigInvalid."""
        scheme, _, rest = url.partition("://")
        try:
            read: Any = parse_url  # Any: redis-py leaves it without annotations
            options: dict[str, Any] = dict(read(f"{_SCHEMES.get(scheme, scheme)}://{rest}"))
        except ValueError:
            raise ConfigInvalid("redis_url cannot be read; write redis://host:6379/0, rediss://… for TLS, or unix:///path") from None
        given = sorted(set(options) - _OWN)
        for name in _OF_POOLS:
            options.pop(name, None)
        chosen = options.pop("connection_class", Connection)
        kind = SSLConnection if chosen is SSLConnection or (tls and chosen is Connection) else chosen
        for name, value in (("username", username), ("password", password)):
            if value is not None:
                options.setdefault(name, value)
        options.setdefault("protocol", 2)
        options.update(
            retry=Retry(NoBackoff(), 0), retry_on_error=(), health_check_interval=0, decode_responses=False,
            socket_timeout=CONNECT_SECONDS, socket_connect_timeout=CONNECT_SECONDS, driver_info=None,
        )  # fmt: skip
        if kind is SSLConnection:
            options.setdefault("ssl_min_version", ssl.TLSVersion.TLSv1_2)
        made = cls(_shown(url), kind, options)
        try:
            made.connection()  # connects nothing; later it would be a thread that is told
            str(options.get("host", "")).encode("idna")
        except UnicodeError:
            raise ConfigInvalid("redis_url has a host that no host can be named: 1 to 63 characters between the dots") from None
        except (TypeError, ValueError, AttributeError):
            raise ConfigInvalid(
                f"redis_url has options that a connection does not take; leave out what is wrong of {', '.join(given)}"
            ) from None
        return made

    def connection(self) -> Connection | SSLConnection | UnixDomainSocketConnection:
        """Make a connection, not yet connected."""
        return self.kind(**self.options)


def _shown(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    number = parts.path.strip("/")
    return f"{parts.hostname or 'localhost'}:{parts.port or 6379}{'/' + number if number.isdecimal() else ''}"
