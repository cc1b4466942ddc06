"""How a server is to be run, checked before anything starts."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

from caching_core.errors import ConfigInvalid

Eviction = Literal["noeviction", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"]

_MAX_PASSWORD_BYTES: Final = 512
_DIRECTIVE: Final = re.compile(r"[a-z][a-z0-9-]*")
# What the supervisor writes itself, and what would undo it.
_TAKEN: Final = frozenset(
    {
        "port", "bind", "unixsocket", "unixsocketperm", "tls-port", "tls-cert-file", "tls-key-file", "tls-ca-cert-file",
        "requirepass", "user", "aclfile", "protected-mode", "dir", "save", "appendonly", "maxmemory", "maxmemory-policy",
        "enable-debug-command", "daemonize", "pidfile", "logfile", "supervised", "include",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSFiles:
    """A certificate in PEM form, its key, and the authority that clients of the server trust."""

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """What a local server is given.

    ``port`` 0 takes a free one of the loopback interface and keeps it over restarts; None leaves TCP out. ``tls``
    makes that port speak TLS only. ``unix_socket`` adds a socket inside the directory.
    ``password`` None makes a random one; an empty text leaves it out, for clients that know none.
    ``directory`` is private (mode 0700) and stays; without one a temporary directory is made and removed at the end.
    ``durable`` writes an append-only file there, so that data outlive a restart.
    ``max_memory`` is in bytes; ``eviction`` never touches entries without a lifetime, since ledgers have none.
    ``debug`` allows the DEBUG command to local clients. ``settings`` are further directives of the configuration file:
    a text is one argument, a sequence several.
    """

    binary: Path | str | None = None
    port: int | None = 0
    unix_socket: bool = False
    tls: TLSFiles | None = None
    password: str | None = field(default=None, repr=False)
    directory: Path | None = None
    durable: bool = False
    max_memory: int | None = None
    eviction: Eviction = "noeviction"
    debug: bool = False
    settings: Mapping[str, str | Sequence[str]] = field(default_factory=dict[str, str | Sequence[str]], repr=False)

    def __post_init__(self) -> None:
        self._check_address()
        self._check_password()
        self._check_store()
        self._check_settings()

    def _check_address(self) -> None:
        if self.port is None and not self.unix_socket:
            raise ConfigInvalid("a server needs an address: port=0 for a free port, or unix_socket=True")
        if self.port is None and self.tls is not None:
            raise ConfigInvalid("tls is for the TCP port, and port is None; set port=0 for a free one")
        if self.port is not None and not 0 <= self.port <= 65535:
            raise ConfigInvalid(f"port {self.port} is not between 0 and 65535")

    def _check_password(self) -> None:
        try:
            length = len((self.password or "").encode())
        except UnicodeEncodeError:
            raise ConfigInvalid("the password is no text that can be encoded as UTF-8; leave it out for a random one") from None
        if length > _MAX_PASSWORD_BYTES or "\0" in (self.password or ""):
            raise ConfigInvalid(f"the password has more than {_MAX_PASSWORD_BYTES} bytes or holds a NUL; leave it out for a random one")

    def _check_store(self) -> None:
        if self.durable and self.directory is None:
            raise ConfigInvalid("a durable server needs a directory that stays: set directory")
        if self.max_memory is not None and self.max_memory <= 0:
            raise ConfigInvalid(f"max_memory {self.max_memory} is no size in bytes; leave it out for no limit")
        policies = get_args(Eviction)
        if self.eviction not in policies:
            raise ConfigInvalid(f"eviction {self.eviction!r} is not one of {', '.join(policies)}; allkeys-* would evict ledgers too")

    def _check_settings(self) -> None:
        for name in self.settings:
            if not _DIRECTIVE.fullmatch(name):
                raise ConfigInvalid(f"{name!r} is not a directive of a server; its names are lower-case words joined by hyphens")
            if name in _TAKEN:
                raise ConfigInvalid(f"the directive {name} is the supervisor's; use the option of ServerOptions for it, if there is one")
