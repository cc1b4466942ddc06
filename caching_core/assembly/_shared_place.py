"""What a cache over a shared server has on this host's disk: the stamps that its processes share, and the audit log.

The keys are where the values are, in the server; unsealed caches have no keys there, and the host's own secret for the rest.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from caching_core.assembly._keys import key_provider, key_ring, keystore_of, require_shared_key, shared_key_provider
from caching_core.assembly._old_keys import OldKeysOnly
from caching_core.assembly._place import Place, is_for_good
from caching_core.assembly._server import Server
from caching_core.coherence import Scheme, Stamps
from caching_core.config import CacheConfig
from caching_core.crypto import KeyRing
from caching_core.errors import CacheError
from caching_core.events import ConfigNote, Hooks, KeyMade
from caching_core.keystore import RedisKeyStore, SqliteKeyStore
from caching_core.tiers.disk import own_directory


class _Told(Protocol):
    def __call__(self, tenant: str, key_id: bytes) -> None: ...


def open_shared_place(
    config: CacheConfig,
    hooks: Hooks,
    server: Server,
    *,
    environ: Mapping[str, str],
    replaces: bool,
    on_replaced: Callable[[], None],
    on_given_up: Callable[[], None],
) -> Place:
    """Open keys and stamps of a cache whose values are in ``server``; the arguments as of ``open_place``.

    A directory that this user cannot have is said once, and done without: then the host's processes hear nothing of each
    other. Raises ConfigInvalid without a key; KeyUnavailable and TierUnavailable while the server is away.
    """

    def told(tenant: str, key_id: bytes) -> None:
        hooks.emit(KeyMade(tenant, key_id))

    if config.crypto.enabled:
        require_shared_key(config, environ=environ)  # first: it needs no server
    server.start()
    directory = _directory(config, hooks, environ)
    keystore, ring, secret = _keys(config, server, directory, environ=environ, told=told)
    try:
        stamps = Stamps(
            directory,
            secret=secret,
            scheme=Scheme(security_enabled=config.crypto.enabled, has_hashed_names=config.crypto.key_privacy == "hashed"),
            replaces=replaces,
            on_replaced=on_replaced,
            on_given_up=on_given_up,
        )
    except BaseException:
        if keystore is not None:
            keystore.close()
        raise
    return Place(stamps, directory=directory, keystore=keystore, ring=ring if config.crypto.enabled else None, secret=secret)


def _directory(config: CacheConfig, hooks: Hooks, environ: Mapping[str, str]) -> Path | None:
    directory = config.resolved_directory(environ)
    try:
        own_directory(directory)
    except CacheError as error:
        if not is_for_good(error, directory):
            raise
        hooks.emit(
            ConfigNote(
                f"{error}; going on without it: there is no audit log, and what another process of this host invalidates is heard "
                f"of after {config.l1.max_age:g} s at most (l1_max_age)"
            )
        )
        return None
    return directory


def _keys(
    config: CacheConfig, server: Server, directory: Path | None, *, environ: Mapping[str, str], told: _Told
) -> tuple[SqliteKeyStore | RedisKeyStore | None, KeyRing | None, bytes]:
    keystore: SqliteKeyStore | RedisKeyStore
    if config.crypto.enabled:
        provider = shared_key_provider(config, environ=environ)
        # A keystore that is named is a file that the hosts share, or a host's own where there is but one.
        named = config.crypto.keystore
        keystore = RedisKeyStore(server.key_link) if named is None else SqliteKeyStore(Path(named.reveal()))
    elif directory is None:
        return None, None, b""
    else:
        keystore = keystore_of(config, directory)
        provider = key_provider(config, directory, keystore, environ=environ)
    try:
        ring, secret = key_ring(keystore, OldKeysOnly(provider) if config.read_only else provider, on_made=told)
    except BaseException:
        keystore.close()
        raise
    return keystore, ring, secret
