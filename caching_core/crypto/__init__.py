"""Keys and sealing: XAES-256-GCM, the key hierarchy, and the ports to keystore and key provider."""

from caching_core.crypto._data_key import Batch, DataKey, DerivedCiphers, key_id_of
from caching_core.crypto._key_file import make_key_file
from caching_core.crypto._key_ring import FLEET, KeyRing, TenantKeys, derive
from caching_core.crypto._key_store import KeyRow, KeyState, KeyStore
from caching_core.crypto._passphrase import CacheSecurityWarning, parse_encryption_key
from caching_core.crypto._provider import (
    ENVIRONMENT_NAME,
    FileProvider,
    KeyProvider,
    NewKey,
    ProviderHealth,
    StaticProvider,
    env_provider,
    kek_id_of,
)
from caching_core.crypto._xaes import Random, Xaes256Gcm, open_with_nonce, seal_with_nonce

__all__ = [
    "ENVIRONMENT_NAME",
    "FLEET",
    "Batch",
    "CacheSecurityWarning",
    "DataKey",
    "DerivedCiphers",
    "FileProvider",
    "KeyProvider",
    "KeyRing",
    "KeyRow",
    "KeyState",
    "KeyStore",
    "NewKey",
    "ProviderHealth",
    "Random",
    "StaticProvider",
    "TenantKeys",
    "Xaes256Gcm",
    "derive",
    "env_provider",
    "kek_id_of",
    "key_id_of",
    "make_key_file",
    "open_with_nonce",
    "parse_encryption_key",
    "seal_with_nonce",
]
