"""The secret of a host's stamps beside a server, kept on the host: whoever cannot ask the server hears the others all the same.

It comes of the fleet's secret, which it does not reveal, and opens nothing: it only says which cells a name has.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from caching_core.coherence import Scheme, Stamps
from caching_core.config import CacheConfig
from caching_core.crypto import FLEET, derive
from caching_core.errors import CacheError
from caching_core.runtime import own_directory, own_file, put_in_place

_FILE: Final = "cells"
_BYTES: Final = 32


def cells_secret(secret: bytes) -> bytes:
    """Return the secret of the stamps of a fleet."""
    return derive(secret, "cells", FLEET)


def keep_cells_secret(directory: Path, secret: bytes) -> None:
    """Keep it for who opens the cache while the server is away. Raises OSError, ConfigInvalid."""
    path = directory / _FILE
    if _kept(path) != secret:
        with put_in_place(path) as (_draft, descriptor):
            os.write(descriptor, secret)


def scheme_of(config: CacheConfig) -> Scheme:
    """Return what processes that share stamps must have in common."""
    return Scheme(security_enabled=config.crypto.enabled, has_hashed_names=config.crypto.key_privacy == "hashed")


def stamps_while_away(
    config: CacheConfig, *, environ: Mapping[str, str], on_replaced: Callable[[], None], on_given_up: Callable[[], None]
) -> Stamps:
    """Return the stamps of a process that has not reached its server yet: the host's where they can be had, else its own."""
    try:
        directory = config.host_directory(environ)
        secret = _kept(directory / _FILE)
        if len(secret) == _BYTES:
            own_directory(directory)
            return Stamps(
                directory, secret=secret, scheme=scheme_of(config), replaces=False, on_replaced=on_replaced, on_given_up=on_given_up
            )
    except (CacheError, OSError):  # said when the server is there, if it is still so
        return Stamps(None, secret=b"")
    return Stamps(None, secret=b"")


def _kept(path: Path) -> bytes:
    try:
        own_file(path)
        return path.read_bytes()
    except FileNotFoundError:
        return b""
