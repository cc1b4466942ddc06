"""The configuration of a server as it is written to its standard input."""

import os
import string
from pathlib import Path
from typing import Final

from caching_core.embedded._address import LOOPBACK, Address
from caching_core.embedded._options import ServerOptions

_PLAIN: Final = frozenset(string.ascii_letters.encode() + string.digits.encode() + b"-_./:, ")


def directives(options: ServerOptions, address: Address, directory: Path, *, knows_debug: bool) -> bytes:
    """Return the whole configuration; it holds the password, so it goes to a pipe and not to a command line."""
    tcp = str(address.port or 0)
    given: dict[str, str] = {
        "port": "0" if address.tls else tcp,
        "bind": LOOPBACK,
        "protected-mode": "yes",
        "daemonize": "no",
        "logfile": "",
        "dir": os.fspath(directory),
        "save": "",
        "appendonly": "yes" if options.durable else "no",
        "maxmemory": str(options.max_memory or 0),
        "maxmemory-policy": options.eviction,
    }
    if address.tls is not None:
        given |= {
            "tls-port": tcp,
            "tls-cert-file": os.fspath(address.tls.certificate.absolute()),
            "tls-key-file": os.fspath(address.tls.key.absolute()),
            "tls-ca-cert-file": os.fspath(address.tls.authority.absolute()),
            "tls-auth-clients": "no",
        }
    if address.socket_path is not None:
        given |= {"unixsocket": os.fspath(address.socket_path), "unixsocketperm": "700"}
    if address.password:
        given["requirepass"] = address.password.reveal()
    if options.debug and knows_debug:
        given["enable-debug-command"] = "local"
    own = [(name, (value,)) for name, value in given.items()]
    more = [(name, (value,) if isinstance(value, str) else tuple(value)) for name, value in options.settings.items()]
    return b"".join(b" ".join([name.encode(), *map(quoted, words)]) + b"\n" for name, words in [*own, *more])


def quoted(value: str) -> bytes:
    """Return one argument in the quotes of the configuration file, in hexadecimal where a byte could mean something there."""
    encoded = value.encode("utf-8", "surrogateescape")
    return b'"' + b"".join(bytes([byte]) if byte in _PLAIN else b"\\x%02x" % byte for byte in encoded) + b'"'
