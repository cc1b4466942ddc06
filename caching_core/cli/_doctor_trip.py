"""Doctor's proof: a value goes through every tier and back, is sealed on the way, and is gone when it is deleted."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from caching_core.cli._check import Check, finding, note, ok
from caching_core.config import CacheConfig
from caching_core.sync import SyncCacheManager, SyncTenantCache

NAMESPACE = "caching-doctor"

_CHUNK = 2**20
_TTL = 60.0
# Of a cache on disk and of one on a server: the tier's name, where a value goes, which findings tell more.
_STORES = (("disk tier", "disk", "folder and space"), ("redis tier", "the server", "the server"))
_PROBES = ("disk", "memory", "coherence", "tagged")


def check_trip(config: CacheConfig, tenant: str) -> Iterator[Check]:
    """Yield the proofs; each leaves nothing behind."""
    if config.disabled:
        return
    if config.read_only:
        yield note("round trip", "left out: read_only is set", "remove read_only to have it proved")
        return
    with ExitStack() as stack:
        ours = stack.enter_context(SyncCacheManager(config))
        handle = ours.tenant(tenant, namespace=NAMESPACE)
        stack.callback(handle.delete_many, _PROBES)
        if not _has_disk(config):
            yield _memory(config, ours, handle)
            return
        # Another configuration of the same folder shares nothing with ours in this process but the files.
        other = stack.enter_context(SyncCacheManager(config.replace({"l1_enabled": False})))
        beside = other.tenant(tenant, namespace=NAMESPACE)
        yield from _disk(config, handle, beside)
        if config.l1.enabled:
            yield _memory(config, ours, handle)
            yield _coherence(handle, beside)
        yield _tags(handle, beside)


def _has_disk(config: CacheConfig) -> bool:
    return config.cache_levels > 1 and config.l2.enabled


def _disk(config: CacheConfig, handle: SyncTenantCache, beside: SyncTenantCache) -> Iterator[Check]:
    marker = f"marker-{secrets.token_hex(16)}"
    tier, through, place = _STORES[config.l2.redis_url is not None]
    if not handle.set("disk", marker, ttl=_TTL):
        fix = f"see the findings on {place}, and the log of this command"
        yield finding(tier, "a value could not be stored: the cache runs in memory only", fix)
        return
    if beside.get("disk") != marker:
        fix = "check that no other key is configured for it elsewhere; caching inspect says why"
        yield finding(tier, "a value that was just stored did not come back", fix)
        return
    yield ok(tier, f"a value went to {through} and came back through another cache of this folder")
    if config.crypto.enabled:
        yield _sealed(config.host_directory(), marker.encode())


def _sealed(directory: Path, marker: bytes) -> Check:
    for path in sorted(directory.rglob("*")):
        if path.is_file() and _holds(path, marker):
            return finding("keys", f"{path.name} holds a value in clear", "report this as a fault of the cache; erase the folder")
    return ok("keys", "the value was sealed and opened with the tenant's key; its text stands in no file")


def _holds(path: Path, marker: bytes) -> bool:
    tail = b""
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                if marker in tail + chunk:
                    return True
                tail = chunk[-len(marker) :]
    except FileNotFoundError:  # a file that went while we looked
        return False
    return False


def _memory(config: CacheConfig, manager: SyncCacheManager, handle: SyncTenantCache) -> Check:
    if not config.l1.max_entries or not config.l1.max_bytes:
        return note("memory tier", "L1 is bounded to nothing and holds nothing")
    value = secrets.token_hex(8)
    handle.set("memory", value, ttl=_TTL)
    first = handle.get("memory")
    before = manager.stats().hits_l1
    second = handle.get("memory")
    if first != value or second != value:
        return finding("memory tier", "a value that was just stored did not come back", "caching inspect says why")
    if manager.stats().hits_l1 == before:
        return finding("memory tier", "the second read was not answered by L1", "raise l1_max_size and l1_max_bytes")
    return ok("memory tier", "the second read was answered by L1")


def _coherence(handle: SyncTenantCache, beside: SyncTenantCache) -> Check:
    handle.set("coherence", "old", ttl=_TTL)
    handle.get("coherence")
    beside.delete("coherence")
    if handle.get("coherence") is not None:
        return finding("coherence", "a value deleted by another cache was still served from L1", "report this as a fault of the cache")
    return ok("coherence", "a delete elsewhere ended the copy in L1 at once")


def _tags(handle: SyncTenantCache, beside: SyncTenantCache) -> Check:
    handle.set("tagged", "old", ttl=_TTL, tags=("doctor",))
    handle.get("tagged")
    beside.invalidate_tags("doctor")
    if handle.get("tagged") is not None:
        return finding("tags", "a value outlived the invalidation of its tag", "report this as a fault of the cache")
    return ok("tags", "the invalidation of a tag ended its entry in every tier")
