"""The configuration: frozen, checked once at the border, with errors that name the path and the nearest known name."""

from caching_core.config._behaviour import (
    MAX_TTL,
    AlertsConfig,
    CoherenceConfig,
    EntryPolicy,
    LearningConfig,
    MonitoringConfig,
    ResilienceConfig,
)
from caching_core.config._contradictions import MAIN_TENANT
from caching_core.config._fingerprint import fingerprint
from caching_core.config._forms import TENANT_FORM, TENANT_RULE
from caching_core.config._levels import L1Config, L2Config, L3Config
from caching_core.config._model import CacheConfig
from caching_core.config._policies import PolicyBook, glob
from caching_core.config._report import nearest, shown
from caching_core.config._safety import AuditConfig, CryptoConfig, Grant, TenancyConfig
from caching_core.config._secret import MASK, Secret, SecretURL
from caching_core.config._settings import Setting, settings
from caching_core.config._sources import NOT_SETTINGS

__all__ = [
    "MAIN_TENANT",
    "MASK",
    "MAX_TTL",
    "NOT_SETTINGS",
    "TENANT_FORM",
    "TENANT_RULE",
    "AlertsConfig",
    "AuditConfig",
    "CacheConfig",
    "CoherenceConfig",
    "CryptoConfig",
    "EntryPolicy",
    "Grant",
    "L1Config",
    "L2Config",
    "L3Config",
    "LearningConfig",
    "MonitoringConfig",
    "PolicyBook",
    "ResilienceConfig",
    "Secret",
    "SecretURL",
    "Setting",
    "TenancyConfig",
    "fingerprint",
    "glob",
    "nearest",
    "settings",
    "shown",
]
