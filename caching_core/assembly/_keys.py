"""Where this process's keys come from: the configuration, the environment, a key file, or one made by itself."""

from collections.abc import Callable, Mapping
from pathlib import Path

from caching_core.audit import destroyed_keys
from caching_core.config import CacheConfig
from caching_core.crypto import (
    ENVIRONMENT_NAME,
    FileProvider,
    KeyProvider,
    KeyRing,
    KeyStore,
    StaticProvider,
    env_provider,
    make_key_file,
    parse_encryption_key,
)
from caching_core.errors import ConfigInvalid, KeyUnavailable
from caching_core.keystore import RedisKeyStore, SqliteKeyStore
from caching_core.runtime import run_sync


def key_provider(config: CacheConfig, directory: Path, keystore: SqliteKeyStore, *, environ: Mapping[str, str]) -> KeyProvider:
    """Return the provider of key-encryption keys: settings beat the environment, which beats the file in ``directory``.

    A key is made by itself only because everything lives on this host, and only for a keystore without rows: those there
    are were wrapped under another key, and a new one would open none of them. Raises ConfigInvalid, KeyUnavailable.
    """
    given = _given_provider(config, environ)
    if given is not None:
        return given
    path = directory / "key"
    if not path.exists():  # making one takes space on the disk even where it is then found there
        if run_sync(keystore.has_rows()) and not path.exists():  # looked at again: who makes the first row has made its key before
            raise KeyUnavailable(
                f"the keys in {keystore.path} were made under a key that is not given here: give it by encryption_key, key_file or "
                f"{ENVIRONMENT_NAME}, or put the file {path} back; without it, what they sealed is lost: stop the processes and "
                "move the keystore away to begin anew"
            )
        make_key_file(path)
    return FileProvider(path)


def shared_key_provider(config: CacheConfig, *, environ: Mapping[str, str]) -> KeyProvider:
    """Return the provider of key-encryption keys where hosts share a server: what was given, since they must all have the same.

    One that a host made by itself would be another on the next, which could open nothing. Raises ConfigInvalid, KeyUnavailable.
    """
    require_shared_key(config, environ=environ)
    given = _given_provider(config, environ)
    assert given is not None  # noqa: S101 -- for the type checker: asked above
    return given


def require_shared_key(config: CacheConfig, *, environ: Mapping[str, str]) -> None:
    """Raise ConfigInvalid where no key is given; opens none, and stretches no passphrase."""
    if not (config.crypto.encryption_key or config.crypto.key_file is not None or environ.get(ENVIRONMENT_NAME, "").strip()):
        raise ConfigInvalid(
            "redis_url names a server that hosts share, and no key is given that they share; make one with `caching keystore new-key` "
            f"and put it on every host, the same one: into {ENVIRONMENT_NAME}, into encryption_key, or into the file of key_file"
        )


def _given_provider(config: CacheConfig, environ: Mapping[str, str]) -> KeyProvider | None:
    if config.crypto.encryption_key:
        return StaticProvider([parse_encryption_key(secret.reveal(), config.namespace) for secret in config.crypto.encryption_key])
    if config.crypto.key_file is not None:
        return FileProvider(config.crypto.key_file)
    if environ.get(ENVIRONMENT_NAME, "").strip():
        return env_provider(environ)
    return None


def keystore_of(config: CacheConfig, directory: Path) -> SqliteKeyStore:
    """Return the host's keystore, not yet opened; who asks for it closes it."""
    keystore = config.crypto.keystore
    return SqliteKeyStore(directory / "keystore.db" if keystore is None else Path(keystore.reveal()))


def key_ring(keystore: KeyStore, provider: KeyProvider, *, on_made: Callable[[str, bytes], None]) -> tuple[KeyRing, bytes]:
    """Return the ring of tenants' keys over the host's keystore, and the fleet's log key; ``on_made`` hears of new keys."""
    ring = KeyRing(keystore, provider, on_made=on_made)
    return ring, run_sync(ring.fleet_key())


def bury_destroyed(keystore: SqliteKeyStore | RedisKeyStore, directory: Path) -> None:
    """Take as destroyed what the audit log says was: a keystore that came back from a backup must not bring it back.

    Raises AuditUnavailable where the log cannot be read, KeyUnavailable where the keystore cannot be written.
    Costs 0.5 ms, and 0.6 ms for each thousand records.
    """
    if not (directory / "audit.db").exists():
        return  # nothing was ever recorded here
    destroyed = destroyed_keys(directory)
    if destroyed and destroyed - run_sync(keystore.tombstones()):
        run_sync(keystore.bury(destroyed))
