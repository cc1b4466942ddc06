"""Settings whose part of the cache this release does not carry: refused where that would be unsafe, else said."""

from collections.abc import Iterator, Mapping
from typing import Final

from caching_core.config import CacheConfig
from caching_core.errors import ConfigInvalid

# Per group the settings without effect. A value that is given here asks for nothing that is missing.
_WITHOUT_EFFECT: Final[Mapping[str, Mapping[str, tuple[object, ...]]]] = {
    "l1": {"max_age": ()},
    "l3": {"shards": (1,), "deadline": ()},
    "crypto": {"audit_keystore": (None,)},
    "coherence": {"mode": ("log",), "outage_grace": (0, 0.0), "on_failover": ("strict",), "log_max_records": (), "log_shards": (1,)},
    "resilience": dict.fromkeys(
        (
            "failure_threshold", "failure_rate", "window", "min_calls", "probe_interval", "recovery_timeout",
            "success_threshold", "max_retry_attempts", "retry_backoff",
        ),
        (),
    ) | {"enabled": (False,), "fallback_strategy": ("graceful_degradation",)},
    "audit": {"level": ("basic",), "include_data_access": (False,), "retention_days": (None,)},
    "learning": {"auto_optimization": (False,)},
    "alerts": {"channels": ({},)},
}  # fmt: skip
# Those that have an effect where the values are in a server.
_WITH_SERVER: Final[Mapping[str, tuple[str, ...]]] = {"l1": ("max_age",), "resilience": ("recovery_timeout",)}


def refuse_what_is_not_built(config: CacheConfig) -> None:
    """Raise ConfigInvalid for settings without which the cache would be another one than was asked for."""
    refusals: dict[str, bool] = {
        "redis_cluster": config.l2.redis_cluster,
        "l3_nodes": bool(config.l3.nodes),
        "sentinels": bool(config.l2.sentinels),
        "roles": config.tenancy.roles is not None,
    }
    asked = [name for name, is_set in refusals.items() if is_set]
    if asked:
        raise ConfigInvalid(
            f"{', '.join(asked)}: not in this release, which carries memory, disk, and one Redis or Valkey server; remove the setting"
        )


def without_effect(config: CacheConfig) -> str:
    """Return a sentence on the settings that were given and change nothing in this release; empty if there are none."""
    names = list(_idle(config))
    return f"accepted, but without effect in this release: {', '.join(names)}" if names else ""


def _idle(config: CacheConfig) -> Iterator[str]:
    for group_name, settings in _WITHOUT_EFFECT.items():
        group = getattr(config, group_name)
        for name, harmless in settings.items():
            if name in (_WITH_SERVER.get(group_name, ()) if config.l2.redis_url is not None else ()):
                continue
            if name in group.model_fields_set and getattr(group, name) not in harmless:
                yield f"{group_name}.{name}"
    if any(policy.coherence == "ttl" for policy in config.policies.values()):
        yield "policies.coherence"
