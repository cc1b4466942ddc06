"""What a cache has on this host's disk: a directory, keys, stamps. Or nothing there, where this user can have nothing."""

import errno
import os
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from caching_core.assembly._keys import key_provider, key_ring, keystore_of
from caching_core.assembly._old_keys import OldKeysOnly
from caching_core.coherence import Scheme, Stamps, has_table
from caching_core.config import CacheConfig
from caching_core.crypto import KeyRing
from caching_core.errors import CacheError, KeyUnavailable, TierUnavailable
from caching_core.events import Hooks, KeyMade, TierLost
from caching_core.keystore import RedisKeyStore, SqliteKeyStore
from caching_core.tiers.disk import own_directory

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_NOT_FOR_US: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


@dataclass(frozen=True, slots=True)
class Place:
    """``directory`` is None where there is none; ``secret`` is what the fleet shares, ``ring`` None without security.

    ``is_cut_off``: what holds the values could not be opened, and is not tried again.
    """

    stamps: Stamps
    directory: Path | None = None
    keystore: SqliteKeyStore | RedisKeyStore | None = None
    ring: KeyRing | None = None
    secret: bytes = b""
    is_cut_off: bool = False

    def close(self) -> None:
        """Close the keystore's connection, and leave the stamps."""
        self.stamps.close()
        if self.keystore is not None:
            self.keystore.close()


def open_place(
    config: CacheConfig,
    hooks: Hooks,
    *,
    environ: Mapping[str, str],
    replaces: bool,
    on_replaced: Callable[[], None],
    on_given_up: Callable[[], None],
) -> Place:
    """Open what the configuration asks for; ``replaces``: also stamps that others use, whose keystore has been lost.

    A directory that this user cannot have for good means memory only, and ``TierLost`` says so. A fault that passes raises
    (TierUnavailable, KeyUnavailable): with memory only, this process would not hear what those beside it invalidate.
    A disabled cache opens as well, since it invalidates for the others; but nothing of this breaks it.
    """
    if config.cache_levels < 2 or not config.l2.enabled:
        return Place(Stamps(None, secret=b"", on_replaced=on_replaced))
    directory = config.resolved_directory(environ)
    keystore = keystore_of(config, directory)
    try:
        own_directory(directory)
        # Also without security: the audit log seals names with the fleet's secret, and cells are keyed with it.
        provider = key_provider(config, directory, keystore, environ=environ)
        if config.read_only:
            provider = OldKeysOnly(provider)
        ring, secret = key_ring(keystore, provider, on_made=lambda tenant, key_id: hooks.emit(KeyMade(tenant, key_id)))
        stamps = Stamps(
            directory,
            secret=secret,
            scheme=Scheme(security_enabled=config.crypto.enabled, has_hashed_names=config.crypto.key_privacy == "hashed"),
            replaces=replaces,
            on_replaced=on_replaced,
            on_given_up=on_given_up,
        )
    except BaseException as error:
        keystore.close()
        if not isinstance(error, CacheError) or not (config.disabled or is_for_good(error, directory)):
            raise
        unheard = "; disabled, and what this process invalidates reaches nobody" if config.disabled else ""
        hooks.emit(TierLost("disk", f"{error}; going on with memory only{unheard}"))
        return Place(Stamps(None, secret=b"", on_replaced=on_replaced))
    return Place(stamps, directory=directory, keystore=keystore, ring=ring if config.crypto.enabled else None, secret=secret)


def is_server_away(error: CacheError) -> bool:
    """Tell whether a store that does not answer for now is the reason of ``error``."""
    return isinstance(error, TierUnavailable) or isinstance(error.__cause__, TierUnavailable)


def is_full(error: CacheError) -> bool:
    """Tell whether a full disk is the reason of ``error``."""
    cause = error.__cause__
    if isinstance(cause, OSError):
        return cause.errno in _FULL
    return isinstance(cause, sqlite3.Error) and getattr(cause, "sqlite_errorname", "").startswith("SQLITE_FULL")


def is_for_good(error: CacheError, directory: Path) -> bool:
    """Tell whether nobody of this user can share ``directory`` while this process lives."""
    if not isinstance(error, TierUnavailable | KeyUnavailable):
        return False
    if is_full(error):
        return not has_table(directory)  # those who made one share it, full or not
    if not isinstance(error, TierUnavailable):
        return False
    cause = error.__cause__
    if isinstance(cause, OSError):
        return cause.errno in _NOT_FOR_US
    return directory.is_dir() and not os.access(directory, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)
