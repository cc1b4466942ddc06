"""Command stats: what the cache holds."""

from pathlib import Path

from caching_core.assembly import server_of
from caching_core.cli._options import ConfigFile, Directory, Json
from caching_core.cli._output import FINE, Output
from caching_core.cli._session import Session
from caching_core.config import CacheConfig
from caching_core.crypto import FLEET
from caching_core.errors import KeyUnavailable
from caching_core.keystore import RedisKeyStore, SqliteKeyStore
from caching_core.runtime import run_sync

_SHARED = ("l2_entries", "l2_bytes", "l2_stored_bytes", "l2_evicted", "l2_expired")


def stats(*, directory: Directory = None, config: ConfigFile = None, as_json: Json = False) -> int:
    """Show what the shared store holds, what it dropped, its bounds, and how many tenants have keys.

    Hits, misses and what stands in memory belong to each process of the application: manager.stats() tells there, and no
    command can, until metrics are exported.
    """
    output = Output(as_json=as_json)
    session = Session(directory, config_file=config)
    with session.manager(only_reads=True) as manager:
        known = manager.stats().as_dict()
        figures: dict[str, object] = {name: known[name] for name in _SHARED}
        if manager.config.l2.redis_url is None:
            figures["l2_max_bytes"] = manager.config.l2.disk_max_bytes
        figures["l1_max_entries"], figures["l1_max_bytes"] = known["l1_max_entries"], known["l1_max_bytes"]
        figures["tenants_with_keys"] = _tenants(manager.config)
    output.pairs("Cache", figures)
    return FINE


def _tenants(config: CacheConfig) -> int | None:
    named = config.crypto.keystore
    if config.l2.redis_url is not None and named is None:
        return _tenants_in_server(config)
    path = config.host_directory() / "keystore.db" if named is None else Path(named.reveal())
    if config.cache_levels < 2 or not config.l2.enabled or not path.exists():
        return 0
    keystore = SqliteKeyStore(path)
    try:
        return len(set(run_sync(keystore.names())) - {FLEET})
    finally:
        keystore.close()


def _tenants_in_server(config: CacheConfig) -> int | None:
    """Return how many tenants have keys in the server; None while it does not say."""
    server = server_of(config)
    try:
        return len(set(run_sync(RedisKeyStore(server.link).names())) - {FLEET})
    except KeyUnavailable:
        return None
    finally:
        server.close()
