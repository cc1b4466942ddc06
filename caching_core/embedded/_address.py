"""Where a server listens, and how a client gets in."""

import random
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from caching_core.config import Secret, SecretURL
from caching_core.embedded._options import TLSFiles
from caching_core.embedded._resp import Connection
from caching_core.errors import TierUnavailable

LOOPBACK: Final = "127.0.0.1"
_LOWEST_PORT: Final = 10_000
_EPHEMERAL: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES: Final = 50


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP port of the loopback interface, a unix socket, or both; at least one is there."""

    port: int | None
    socket_path: Path | None
    tls: TLSFiles | None
    password: Secret

    def __str__(self) -> str:
        places = [f"{LOOPBACK}:{self.port}"] if self.port is not None else []
        return " and ".join(places + ([str(self.socket_path)] if self.socket_path is not None else []))

    def url(self) -> SecretURL:
        """Return the URL of the TCP port, else of the unix socket."""
        if self.port is None:
            return self.unix_url()
        scheme, query = ("rediss", f"?ssl_ca_certs={quote(str(self.tls.authority.absolute()))}") if self.tls else ("redis", "")
        return SecretURL(f"{scheme}://{self._credentials()}{LOOPBACK}:{self.port}/0{query}")

    def unix_url(self) -> SecretURL:
        """Return the URL of the unix socket."""
        if self.socket_path is None:
            raise TierUnavailable(f"the server at {self} has no unix socket; start it with unix_socket=True")
        return SecretURL(f"unix://{self._credentials()}{quote(str(self.socket_path))}?db=0")

    def connect(self, timeout: float) -> Connection:
        """Return a connection that has given the password, over the unix socket where there is one."""
        try:
            raw = self._open(timeout)
        except OSError as problem:
            raise TierUnavailable(f"no connection to {self}: {problem.strerror or type(problem).__name__}") from problem
        connection = Connection(raw)
        if self.password:
            try:
                connection.call("AUTH", self.password.reveal(), timeout=timeout)
            except BaseException:
                connection.close()
                raise
        return connection

    def _open(self, timeout: float) -> socket.socket:
        if self.socket_path is not None:
            local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                local.settimeout(timeout)
                local.connect(str(self.socket_path))
            except BaseException:
                local.close()
                raise
            return local
        raw = socket.create_connection((LOOPBACK, self.port or 0), timeout)
        if self.tls is None:
            return raw
        try:
            return self._client_context(self.tls).wrap_socket(raw)
        except BaseException:
            raw.close()
            raise

    @staticmethod
    def _client_context(files: TLSFiles) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=files.authority)
        # The certificate is whose the caller says; what name it carries is no matter for a server on loopback that we started.
        context.check_hostname = False
        # A server that asks its clients for one gets the pair that is at hand.
        context.load_cert_chain(files.certificate, files.key)
        return context

    def _credentials(self) -> str:
        return f":{quote(self.password.reveal(), safe='')}@" if self.password else ""


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on, and that outgoing connections are not given.

    A port of the ephemeral range could be taken by any client between two starts of a server; one that
    asks for it while nobody listens may even be connected to itself.
    """
    highest = _ephemeral_begin() - 1
    for _ in range(_TRIES if highest > _LOWEST_PORT else 0):
        port = random.randint(_LOWEST_PORT, highest)  # noqa: S311 - to spread, not to hide
        if _bindable(port):
            return port
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _ephemeral_begin() -> int:
    try:
        return int(_EPHEMERAL.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 32768


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        # As the server does: connections of an earlier one that linger do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
