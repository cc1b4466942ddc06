"""The configuration as one frozen object, and the only ways to make it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import ValidationError, model_validator
from pydantic_core import PydanticCustomError

from caching_core.config._behaviour import (
    MAX_TTL,
    AlertsConfig,
    CoherenceConfig,
    EntryPolicy,
    LearningConfig,
    MonitoringConfig,
    ResilienceConfig,
)
from caching_core.config._contradictions import contradictions
from caching_core.config._directory import shared_directory, state_directory
from caching_core.config._forms import FrozenDict, Mapped, MetricPrefix, Name, Namespace, Pattern
from caching_core.config._group import Group, group, setting
from caching_core.config._levels import L1Config, L2Config, L3Config
from caching_core.config._report import CONTRADICTIONS, invalid
from caching_core.config._safety import AuditConfig, CryptoConfig, TenancyConfig
from caching_core.config._sources import collect, explicit, is_switched_off
from caching_core.types import CompressionAlgorithm


class CacheConfig(Group):
    """All settings of a cache. Make it with ``build``; times are seconds, sizes are bytes."""

    cache_levels: int = setting(
        default=2, meaning="levels at most: 1 memory, 2 and disk or Redis, 3 and distributed", flat="cache_levels", ge=1, le=3
    )
    directory: Path | None = setting(
        default=None,
        meaning="folder of disk tier, keystore, stamps, journal and audit; unset: a folder of the user's state",
        flat="directory",
        strict=False,
    )
    namespace: Namespace = setting(default="default", meaning="namespace of the keys where a call names none", flat="namespace")
    metrics_namespace: MetricPrefix = setting(default="", meaning="what the names of metrics begin with", flat="metrics_namespace")
    default_ttl: float | None = setting(
        default=300.0, meaning="lifetime in seconds where a call gives none; none = for ever", flat="default_ttl", gt=0, le=MAX_TTL
    )
    max_value_bytes: int = setting(
        default=16 * 2**20, meaning="size of a serialised value at most", flat="max_value_bytes", ge=64, le=512 * 2**20
    )
    serializer: Name = setting(default="msgpack", meaning="how values become bytes", flat="serializer")
    strategy: Name | None = setting(default=None, meaning="name of the registered strategy that decides by default", flat="strategy")
    compression_enabled: bool = setting(default=True, meaning="compress values below L1 where it pays", flat="compression_enabled")
    compression_algorithm: CompressionAlgorithm = setting(
        default=CompressionAlgorithm.AUTO,
        meaning="how values are compressed; auto: by what pays",
        flat="compression_algorithm",
        strict=False,
    )
    strict: bool = setting(
        default=False, meaning="raise where the cache would degrade: corrupt entry, quota, pending invalidation", flat="strict"
    )
    read_only: bool = setting(default=False, meaning="serve what is there and store nothing", flat="read_only")
    disabled: bool = setting(default=False, meaning="every get is a miss, every set does nothing", flat="disabled")
    policies: Annotated[dict[Pattern, EntryPolicy], Mapped] = setting(
        default=FrozenDict[str, EntryPolicy](),
        meaning="settings per namespace (a plain name) or key pattern (with * or ?); the first that fits counts",
        flat="policies",
    )
    l1: L1Config = group(L1Config, "memory")
    l2: L2Config = group(L2Config, "disk or Redis")
    l3: L3Config = group(L3Config, "distributed")
    crypto: CryptoConfig = group(CryptoConfig, "sealing and keys")
    tenancy: TenancyConfig = group(TenancyConfig, "tenants and roles")
    coherence: CoherenceConfig = group(CoherenceConfig, "how far a copy may be behind")
    resilience: ResilienceConfig = group(ResilienceConfig, "breakers and retries")
    audit: AuditConfig = group(AuditConfig, "the audit log")
    learning: LearningConfig = group(LearningConfig, "what the models may do")
    monitoring: MonitoringConfig = group(MonitoringConfig, "metrics and health")
    alerts: AlertsConfig = group(AlertsConfig, "where alerts go")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        problems = contradictions(self)
        if problems:
            raise PydanticCustomError(CONTRADICTIONS, "settings contradict each other", {"problems": problems})
        return self

    @classmethod
    def build(cls, source: "Mapping[str, object] | CacheConfig | None" = None, *, environ: Mapping[str, str] | None = None) -> Self:
        """Make the configuration from a mapping (flat keys, groups, or both) and the environment's ``CACHING_*``.

        The mapping beats the environment, except that ``CACHING_DISABLED`` always switches off. A
        configuration that is already made is checked again and otherwise taken as it is. Raises
        ConfigInvalid, which lists every problem.
        """
        variables = os.environ if environ is None else environ
        if isinstance(source, CacheConfig):
            return cls._checked(explicit(source) | ({"disabled": True} if is_switched_off(variables) else {}), {})
        collected = collect({} if source is None else source, variables, cls)
        return cls._checked(collected.settings, collected.names, collected.problems)

    @classmethod
    def _checked(cls, settings: Mapping[str, object], names: Mapping[tuple[str, ...], str], problems: tuple[str, ...] = ()) -> Self:
        try:
            config = cls.model_validate(settings)
        except ValidationError as error:
            raise invalid(error, cls, names, problems) from None
        if problems:
            raise invalid(None, cls, names, problems)
        return config

    def replace(self, changes: Mapping[str, object]) -> Self:
        """Return a configuration with some settings changed, given as for ``build``; the environment plays no part."""
        collected = collect(changes, {}, type(self))
        base = explicit(self)
        for name, value in collected.settings.items():
            group = base.get(name)
            base[name] = {**group, **value} if isinstance(group, dict) and isinstance(value, dict) and name != "policies" else value
        return self._checked(base, collected.names, collected.problems)

    def resolved_directory(self, environ: Mapping[str, str] | None = None) -> Path:
        """Return the absolute folder of this host's state; nothing is made.

        ``directory``, else ``$CACHING_DIRECTORY``, else ``$XDG_STATE_HOME/caching-suite/<namespace>``,
        else the same under ``~/.local/state``.
        """
        return state_directory(self.directory, self.namespace, os.environ if environ is None else environ)

    def host_directory(self, environ: Mapping[str, str] | None = None) -> Path:
        """Return the absolute folder in which this cache keeps stamps and audit log on this host; nothing is made.

        ``resolved_directory``; for a cache over a server a folder of its own in it, ``shared-<8 hex digits>``, one per server,
        database and keystore: caches that share none of that may have the same ``directory``.
        """
        directory = self.resolved_directory(environ)
        if self.l2.redis_url is None or not self.l2.enabled or self.cache_levels < 2:
            return directory
        named = self.crypto.keystore
        return shared_directory(directory, self.l2.redis_url.reveal(), None if named is None else named.reveal())

    @property
    def compression(self) -> CompressionAlgorithm:
        """Return the algorithm in force: none when compression is off."""
        return self.compression_algorithm if self.compression_enabled else CompressionAlgorithm.NONE
