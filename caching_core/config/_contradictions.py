"""What no single setting can tell: settings that do not go together."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from caching_core.config._model import CacheConfig

MAIN_TENANT = "main"


def contradictions(config: "CacheConfig") -> list[str]:
    """Return one sentence per contradiction: which settings, and what to do."""
    return [*_of_levels(config), *_of_redis(config), *_of_crypto(config), *_of_tenancy(config), *_of_lifetimes(config)]


def _of_levels(config: "CacheConfig") -> list[str]:
    l1 = config.l1
    found = [
        f"l1.{name} is 0 while l1.enabled is true; give L1 room, or set l1_enabled to false"
        for name, room in (("max_entries", l1.max_entries), ("max_bytes", l1.max_bytes))
        if l1.enabled and room == 0
    ]
    if not (l1.enabled or config.disabled or _has_shared_level(config)):
        given = f"cache_levels is {config.cache_levels}, l1_enabled is false, l2_enabled is {str(config.l2.enabled).lower()}"
        found.append(f"{given}: no level is left to keep anything; turn one on, or set disabled to true")
    return found


def _has_shared_level(config: "CacheConfig") -> bool:
    has_third = bool(config.l3.nodes) or (config.l2.redis_cluster and config.l2.redis_url is not None)
    return (config.cache_levels > 1 and config.l2.enabled) or (config.cache_levels > 2 and has_third)


def _of_redis(config: "CacheConfig") -> list[str]:
    l2 = config.l2
    found: list[str] = []
    if l2.redis_url is None and not config.l3.nodes:
        given: dict[str, object] = {
            "redis_cluster": l2.redis_cluster,
            "redis_username": l2.redis_username,
            "redis_password": l2.redis_password,
        }
        given |= {"redis_tls": l2.redis_tls, "sentinels": l2.sentinels}
        found += [f"{name} is set without redis_url; set redis_url too, or leave it out" for name, value in given.items() if value]
    if l2.redis_cluster and l2.sentinels:
        found.append("redis_cluster and sentinels are both set; a cluster has no Sentinels, keep one of them")
    if l2.redis_url is not None:
        parts = urlsplit(l2.redis_url.reveal())
        if l2.redis_password is not None and parts.password:
            found.append("redis_password is set and redis_url carries a password too; keep one of them")
        if l2.redis_username is not None and parts.username:
            found.append("redis_username is set and redis_url carries a user name too; keep one of them")
    return found


def _of_crypto(config: "CacheConfig") -> list[str]:
    crypto = config.crypto
    found: list[str] = []
    if not crypto.enabled and crypto.pickle != "off":
        found.append(
            f"pickle is {crypto.pickle!r} while security_enabled is false; pickle is never stored in plain frames, set pickle to 'off'"
        )
    if crypto.pickle_allow and crypto.pickle == "off":
        found.append("pickle_allow is set while pickle is 'off'; set pickle, or leave pickle_allow out")
    if crypto.encryption_key and crypto.key_file is not None:
        found.append("encryption_key and key_file are both set; keep one of them")
    if not crypto.enabled:
        found += [
            f"policies[{pattern!a}].security_level is 'high' while security_enabled is false; such entries are stored sealed or not at all"
            for pattern, policy in config.policies.items()
            if policy.security_level == "high"
        ]
    return found


def _of_tenancy(config: "CacheConfig") -> list[str]:
    tenancy = config.tenancy
    found: list[str] = []
    if tenancy.tenants is not None and len(set(tenancy.tenants)) < len(tenancy.tenants):
        found.append("tenants names a tenant twice")
    if tenancy.tenant is not None and tenancy.tenants is not None and tenancy.tenant not in tenancy.tenants:
        found.append(f"tenant is {tenancy.tenant!r}, which tenants does not name; add it there, or pin another")
    if not tenancy.isolation:
        if tenancy.tenant not in (None, MAIN_TENANT):
            found.append(
                f"tenant is {tenancy.tenant!r} while tenant_isolation is false; without isolation everything is in {MAIN_TENANT!r}"
            )
        if tenancy.tenants is not None and set(tenancy.tenants) != {MAIN_TENANT}:
            found.append(f"tenants is set while tenant_isolation is false; without isolation everything is in {MAIN_TENANT!r}")
    return found


def _of_lifetimes(config: "CacheConfig") -> list[str]:
    learning, resilience = config.learning, config.resilience
    found: list[str] = []
    if config.default_ttl is not None and learning.ttl_floor > config.default_ttl * learning.ttl_stretch:
        found.append("ttl_floor is above default_ttl times ttl_stretch; lower the floor, or raise one of the others")
    if resilience.probe_interval > resilience.recovery_timeout:
        found.append("resilience.probe_interval is above resilience.recovery_timeout, which bounds it")
    return found
