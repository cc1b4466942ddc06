"""What a cache over a shared server has on this host's disk: the stamps that its processes share, and the audit log.

The keys are where the values are, in the server; unsealed caches have no keys there, and the host's own secret for the rest.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from caching_core.assembly._cells import cells_secret, keep_cells_secret, scheme_of
from caching_core.assembly._keys import key_provider, key_ring, keystore_of, require_shared_key, shared_key_provider
from caching_core.assembly._old_keys import OldKeysOnly
from caching_core.assembly._place import Place, is_for_good, is_server_away
from caching_core.assembly._server import Server
from caching_core.coherence import Stamps
from caching_core.config import CacheConfig
from caching_core.crypto import KeyRing
from caching_core.errors import CacheError
from caching_core.events import ConfigNote, Hooks, KeyMade, TierLost
from caching_core.keystore import RedisKeyStore, SqliteKeyStore
from caching_core.tiers.disk import own_directory


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
    other. Raises ConfigInvalid without a key; KeyUnavailable and TierUnavailable while the server is away. A disabled cache
    waits for a server that is away, unless it is strict; anything else cuts it off, and ``TierLost`` says so.
    """

    def stamps_in(folder: Path | None, secret: bytes) -> Stamps:
        return Stamps(folder, secret=secret, scheme=scheme_of(config), replaces=replaces, on_replaced=on_replaced, on_given_up=on_given_up)

    try:
        if config.crypto.enabled:
            require_shared_key(config, environ=environ)  # first: it needs no server
        server.start()
        return _Opening(config, hooks, server, environ, stamps_in).open()
    except CacheError as error:
        if not config.disabled or (is_server_away(error) and not config.strict):
            raise
        hooks.emit(TierLost("redis", f"{error}; disabled, and what this process invalidates reaches nobody"))
        return Place(Stamps(None, secret=b"", on_replaced=on_replaced), is_cut_off=True)


@dataclass(frozen=True, slots=True)
class _Opening:
    config: CacheConfig
    hooks: Hooks
    server: Server
    environ: Mapping[str, str]
    stamps_in: Callable[[Path | None, bytes], Stamps]

    def open(self) -> Place:
        """Open in the host's directory, or without one where this user cannot have it."""
        directory = self.config.host_directory(self.environ)
        tried = outer = self.config.resolved_directory(self.environ)
        try:
            own_directory(outer)  # by itself: parents that are made along with a directory are open to others
            tried = directory
            own_directory(directory)
            return self._open_in(directory)
        except CacheError as error:
            if not is_for_good(error, tried):
                raise
            self.hooks.emit(
                ConfigNote(
                    f"{error}; going on without it: there is no audit log, and what another process of this host invalidates is heard "
                    f"of after {self.config.l1.max_age:g} s at most (l1_max_age)"
                )
            )
            return self._open_in(None)

    def _open_in(self, directory: Path | None) -> Place:
        keystore, ring, secret = self._keys(directory)
        cells = cells_secret(secret)
        try:
            stamps = self.stamps_in(directory, cells)
            if directory is not None:
                self._keep(directory, cells)
        except BaseException:
            if keystore is not None:
                keystore.close()
            raise
        return Place(stamps, directory=directory, keystore=keystore, ring=ring if self.config.crypto.enabled else None, secret=secret)

    def _keep(self, directory: Path, cells: bytes) -> None:
        try:
            keep_cells_secret(directory, cells)
        except OSError as error:
            self.hooks.emit(ConfigNote(f"{directory} cannot be written ({error.strerror}): who starts without the server hears nobody"))

    def _keys(self, directory: Path | None) -> tuple[SqliteKeyStore | RedisKeyStore | None, KeyRing | None, bytes]:
        config, environ = self.config, self.environ
        keystore: SqliteKeyStore | RedisKeyStore
        if config.crypto.enabled:
            provider = shared_key_provider(config, environ=environ)
            # A keystore that is named is a file that the hosts share, or a host's own where there is but one.
            named = config.crypto.keystore
            keystore = RedisKeyStore(self.server.key_link) if named is None else SqliteKeyStore(Path(named.reveal()))
        elif directory is None:
            return None, None, b""
        else:
            keystore = keystore_of(config, directory)
            provider = key_provider(config, directory, keystore, environ=environ)
        try:
            ring, secret = key_ring(keystore, OldKeysOnly(provider) if config.read_only else provider, on_made=self._say_made)
        except BaseException:
            keystore.close()
            raise
        return keystore, ring, secret

    def _say_made(self, tenant: str, key_id: bytes) -> None:
        self.hooks.emit(KeyMade(tenant, key_id))
