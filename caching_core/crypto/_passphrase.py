"""An ``encryption_key`` as text: 32 bytes in base64, or a passphrase that scrypt stretches."""

import hashlib
import warnings
from typing import Final

from caching_core.crypto._provider import decode_key
from caching_core.crypto._xaes import KEY_SIZE
from caching_core.errors import ConfigInvalid

_SHORTEST: Final = 8
_FEWEST_DISTINCT: Final = 4
_SCRYPT_COST: Final = 2**15
_SCRYPT_MEMORY: Final = 64 * 2**20


class CacheSecurityWarning(UserWarning):
    """Something works, but is weaker than it could be."""


def parse_encryption_key(text: str, namespace: str) -> bytes:
    """Return the key-encryption key that ``text`` stands for.

    A passphrase is stretched with scrypt (n=2^15, r=8, p=1: about 0.1 s and 32 MiB; call it once per
    process tree) and warned about; one that can be guessed is ConfigInvalid. The same passphrase gives
    another key in another ``namespace``.
    """
    key = decode_key(text)
    if key is not None:
        return key
    if len(text) < _SHORTEST or len(set(text)) < _FEWEST_DISTINCT:
        raise ConfigInvalid(
            f"encryption_key is neither 32 bytes in base64 nor a passphrase of at least {_SHORTEST} characters, "
            f"{_FEWEST_DISTINCT} of them different; make a key with `caching keystore new-key`"
        )
    warnings.warn(
        "encryption_key is a passphrase: whoever guesses it can read the cache; better is a random key, `caching keystore new-key`",
        CacheSecurityWarning,
        stacklevel=2,
    )
    salt = hashlib.sha256(b"caching-core/passphrase/v1" + namespace.encode()).digest()[:16]
    return hashlib.scrypt(text.encode(), salt=salt, n=_SCRYPT_COST, r=8, p=1, maxmem=_SCRYPT_MEMORY, dklen=KEY_SIZE)
