"""From the options that commands share to a configuration, a manager and a handle."""

import json
import tomllib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from caching_core.config import CacheConfig
from caching_core.errors import ConfigInvalid, TenantUnknown, TierUnavailable
from caching_core.sync import SyncCacheManager, SyncTenantCache
from caching_core.tenancy import TenantPolicy, check_namespace


@dataclass(frozen=True, slots=True)
class Bound:
    """The cache that a program of its own lends the command line: its settings, and the namespace that its keys stand in."""

    config: CacheConfig
    namespace: str


# What the commands work on where no settings file is named; set for the run of one command line.
bound: Final[ContextVar[Bound | None]] = ContextVar("caching_core_cli_bound", default=None)


@dataclass(frozen=True, slots=True)
class Session:
    """Which cache a command works on: the settings' file, else the bound cache, else the environment's ``CACHING_*``; then the options."""

    directory: Path | None = None
    namespace: str | None = None
    tenant: str | None = None
    config_file: Path | None = None

    def config(self, **overrides: object) -> CacheConfig:
        """Return the configuration; the ports that a serving process opens stay closed."""
        lent = bound.get()
        if lent is not None and self.config_file is None:
            config = lent.config
        else:
            config = CacheConfig.build(read_settings(self.config_file) if self.config_file else {})
        changes: dict[str, object] = {"metrics_port": None, **overrides}
        if self.directory is not None:
            changes["directory"] = str(self.directory)
        return config.replace(changes)

    def where(self, config: CacheConfig) -> tuple[str, str]:
        """Return tenant and namespace to work on; TenantUnknown where there are several tenants and none was named."""
        try:
            tenant = TenantPolicy(config).resolve(self.tenant)
        except TenantUnknown:
            if self.tenant is not None or not config.tenancy.tenants:
                raise
            raise TenantUnknown(f"this cache has tenants ({', '.join(config.tenancy.tenants)}); say which with --tenant") from None
        return tenant, self._namespace_in(config)

    def _namespace_in(self, config: CacheConfig) -> str:
        if self.namespace is not None:
            return check_namespace(self.namespace)
        lent = bound.get()
        return config.namespace if lent is None or self.config_file is not None else lent.namespace

    @contextmanager
    def manager(self, *, only_reads: bool = False) -> Generator[SyncCacheManager]:
        """Start a manager and close it at the end; ``only_reads``: none where there is no cache, and one that makes nothing."""
        config = self.config(**({"read_only": True} if only_reads else {}))
        if config.read_only and not is_cache(config):
            raise TierUnavailable(f"there is no cache in {config.host_directory()}; name its folder with --directory")
        with SyncCacheManager(config) as manager:
            yield manager

    @contextmanager
    def handle(self, *, only_reads: bool = False) -> Generator[SyncTenantCache]:
        """Start a manager as ``manager`` does and bind it to the tenant and namespace of the options."""
        config = self.config()
        if self.tenant is None or not is_cache(config):
            self.where(config)  # said before anything is made; a tenant that a cache refuses is written down there
        with self.manager(only_reads=only_reads) as manager:
            yield manager.tenant(self.tenant, namespace=self._namespace_in(config))


def is_cache(config: CacheConfig) -> bool:
    """Return whether a command finds a cache that was there before it; one in memory is always the command's own."""
    if config.cache_levels < 2 or not config.l2.enabled:
        return True
    directory = config.host_directory()
    return any((directory / name).exists() for name in ("stamps", "keystore.db", "audit.db"))


def read_settings(path: Path) -> Mapping[str, object]:
    """Read a settings file, JSON or TOML by its ending; ConfigInvalid says what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigInvalid(f"settings file {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as cause:
        raise ConfigInvalid(f"settings file {path} cannot be read: {cause}") from cause
    try:
        if path.suffix == ".toml":
            settings: Any = tomllib.loads(text)
        elif path.suffix == ".json":
            settings = json.loads(text)
        else:
            raise ConfigInvalid(f"settings file {path} must end in .json or .toml")
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as cause:
        # The parsers' messages name line and column, and quote at most a character.
        raise ConfigInvalid(f"settings file {path} is malformed: {cause}") from cause
    if not isinstance(settings, dict):
        raise ConfigInvalid(f"settings file {path} must hold one object of settings, not a {type(settings).__name__}")
    return cast("dict[str, object]", settings)
