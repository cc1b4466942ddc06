"""What the configuration makes of the engine: its options, its memory, its codec."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from caching_core.codec import Codec, PickleSerializer
from caching_core.config import CacheConfig
from caching_core.engine import FOREVER, EngineOptions
from caching_core.tiers.memory import MemoryTier

if TYPE_CHECKING:
    from caching_core.assembly._server import Server


_ALONE_SECONDS: Final = 1.0


def _ignore(_reason: str | None) -> None:
    """Hear nothing."""


def memory_of(config: CacheConfig) -> MemoryTier | None:
    """Return this process's memory, or None where it is switched off."""
    l1 = config.l1
    return MemoryTier(max_entries=l1.max_entries, max_bytes=l1.max_bytes, policy=l1.policy) if l1.enabled else None


def codec_of(config: CacheConfig) -> Codec:
    """Return what makes bytes of values."""
    mode = config.crypto.pickle
    return Codec(
        compression=config.compression,
        max_value_bytes=config.max_value_bytes,
        serializer=config.serializer,
        pickle=None if mode == "off" else PickleSerializer(mode, config.crypto.pickle_allow),
    )


def options_of(config: CacheConfig, *, has_store: bool, is_remote: bool, is_alone: bool = False) -> EngineOptions:
    """Return the engine's options; ``is_remote``: the values are in a server that many hosts share.

    ``is_alone``: that server is away, and this process hears of nobody, not even when the others have it back.
    """
    wants_store = config.cache_levels > 1 and config.l2.enabled
    return EngineOptions(
        default_ttl=config.default_ttl,
        is_plain=not config.crypto.enabled and wants_store,
        strategy=config.strategy,
        strict=config.strict,
        read_only=config.read_only,
        disabled=config.disabled,
        is_cut_off=config.disabled and wants_store and not has_store,
        copy_seconds=min(config.l1.max_age, _ALONE_SECONDS if is_alone else FOREVER) if is_remote else FOREVER,
        store_place="in Redis" if is_remote else "on disk",
        leaves_pending=is_remote and not config.strict,
        hashed_names=config.crypto.key_privacy == "hashed",
        max_value_bytes=config.max_value_bytes,
    )


def server_of(config: CacheConfig, *, on_change: Callable[[str | None], None] = _ignore) -> "Server":
    """Return the server that ``l2.redis_url`` names, not connected; ``on_change`` hears why it is lost, and None when it is back."""
    from caching_core.assembly._server import Server  # here: it brings redis-py, which a cache without a server goes without

    return Server(config, on_change=on_change)


def is_remote(config: CacheConfig) -> bool:
    """Tell whether the values of such a cache are in a server that many hosts share."""
    return config.l2.redis_url is not None and config.l2.enabled and config.cache_levels > 1


def may_be_away(config: CacheConfig) -> bool:
    """Tell whether an application with such a cache is to start without its server, and get it as soon as it is there."""
    return is_remote(config) and not config.strict
