"""Key-encryption keys: what wraps tenant root keys, from a list, the environment or a file."""

import base64
import binascii
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from caching_core.crypto._key_file import FileSignature, file_signature, read_key_file
from caching_core.crypto._xaes import KEY_SIZE, Random, open_with_nonce, seal_with_nonce
from caching_core.errors import ConfigInvalid, KeyUnavailable

ENVIRONMENT_NAME: Final = "CACHING_ENCRYPTION_KEYS"
_WRAP_FORMAT: Final = b"\x01"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A root key just made: the bytes, and how they are kept."""

    root: bytes = field(repr=False)
    wrapped: bytes = field(repr=False)
    kek_id: bytes


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """Whether wrapping works now; ``detail`` is for a person and holds no secret."""

    is_healthy: bool
    detail: str
    kek_ids: tuple[bytes, ...] = ()


class KeyProvider(Protocol):
    """Makes and opens root keys. Raises KeyUnavailable where it cannot."""

    async def generate(self, name: str, *, purpose: str) -> NewKey:
        """Make 32 random bytes for ``name`` and wrap them under the primary key-encryption key."""
        ...

    async def unwrap(self, wrapped: bytes, kek_id: bytes, *, name: str, purpose: str) -> bytes:
        """Open what was wrapped for the same ``name`` and ``purpose``."""
        ...

    async def rewrap(self, wrapped: bytes, kek_id: bytes, *, name: str, purpose: str) -> tuple[bytes, bytes]:
        """Wrap again under the primary key: ``(wrapped, kek_id)``, unchanged if it is that already."""
        ...

    async def health(self) -> ProviderHealth:
        """Seal and open a probe."""
        ...


def kek_id_of(kek: bytes) -> bytes:
    """Return the 16 bytes by which rows name a key-encryption key."""
    return hashlib.sha256(b"caching-core/kek/v1" + kek).digest()[:16]


class StaticProvider:
    """Key-encryption keys given as bytes: the first wraps, all of them open. Thread-safe."""

    __slots__ = ("_keks", "_primary", "_random")

    def __init__(self, keks: Sequence[bytes], *, random: Random = os.urandom) -> None:
        """Take one or more keys of 32 bytes."""
        self._random = random
        self._keks, self._primary = _by_id(keks)

    async def generate(self, name: str, *, purpose: str) -> NewKey:
        """Make a root key."""
        root = self._random(KEY_SIZE)
        return NewKey(root, self._wrap(root, name, purpose), self._primary)

    async def unwrap(self, wrapped: bytes, kek_id: bytes, *, name: str, purpose: str) -> bytes:
        """Open a root key."""
        kek = self._find(kek_id)
        if kek is None:
            raise KeyUnavailable(
                f"a key was wrapped under {kek_id.hex()}, which this process does not have; add that key-encryption key "
                "after the primary one, or give this cache a store of its own if another application made it"
            )
        root = open_with_nonce(kek, wrapped[1:], _wrap_aad(name, purpose)) if wrapped[:1] == _WRAP_FORMAT else None
        if root is None or len(root) != KEY_SIZE:
            raise KeyUnavailable(f"a wrapped key of {name!r} does not open under {kek_id.hex()}: the keystore's row has been changed")
        return root

    async def rewrap(self, wrapped: bytes, kek_id: bytes, *, name: str, purpose: str) -> tuple[bytes, bytes]:
        """Wrap under the primary key."""
        if kek_id == self._primary:
            return wrapped, kek_id
        root = await self.unwrap(wrapped, kek_id, name=name, purpose=purpose)
        return self._wrap(root, name, purpose), self._primary

    async def health(self) -> ProviderHealth:
        """Seal and open a probe."""
        probe = await self.generate("@health", purpose="probe")
        root = await self.unwrap(probe.wrapped, probe.kek_id, name="@health", purpose="probe")
        return ProviderHealth(root == probe.root, f"{len(self._keks)} key-encryption keys", tuple(self._keks))

    def _find(self, kek_id: bytes) -> bytes | None:
        return self._keks.get(kek_id)

    def _wrap(self, root: bytes, name: str, purpose: str) -> bytes:
        return _WRAP_FORMAT + seal_with_nonce(self._keks[self._primary], root, _wrap_aad(name, purpose), random=self._random)

    def _replace(self, keks: Sequence[bytes]) -> None:
        self._keks, self._primary = _by_id(keks)

    def __repr__(self) -> str:
        """Show ids only."""
        return f"{type(self).__name__}({', '.join(kek_id.hex()[:8] for kek_id in self._keks)})"

    def __reduce__(self) -> str:
        """Refuse to leave the process."""
        raise TypeError("a key does not leave its process")


class FileProvider(StaticProvider):
    """Key-encryption keys from a file that only its owner may read: one in base64 per line, the first wraps.

    The file is read again when a key is missing and it has changed since.
    """

    __slots__ = ("_path", "_seen")

    def __init__(self, path: str | Path, *, random: Random = os.urandom) -> None:
        """Read the file: ConfigInvalid if it is not the owner's alone, KeyUnavailable if it is not there."""
        self._path = Path(path)
        keks, self._seen = _read_keys(self._path)
        super().__init__(keks, random=random)

    def _find(self, kek_id: bytes) -> bytes | None:
        found = super()._find(kek_id)
        if found is None and file_signature(self._path) != self._seen:
            keks, self._seen = _read_keys(self._path)
            self._replace(keks)
            found = super()._find(kek_id)
        return found

    async def health(self) -> ProviderHealth:
        """Read the file again, then seal and open a probe."""
        try:
            keks, self._seen = _read_keys(self._path)
        except (ConfigInvalid, KeyUnavailable) as error:
            return ProviderHealth(is_healthy=False, detail=str(error))
        self._replace(keks)
        return await super().health()


def env_provider(environ: Mapping[str, str], *, random: Random = os.urandom) -> StaticProvider:
    """Take the keys of CACHING_ENCRYPTION_KEYS: base64, separated by commas, the first is primary."""
    text = environ.get(ENVIRONMENT_NAME, "")
    if not text.strip():
        raise ConfigInvalid(f"{ENVIRONMENT_NAME} is not set; put one or more keys of 32 bytes in base64 there, separated by commas")
    return StaticProvider(_decode_all(text.split(","), ENVIRONMENT_NAME), random=random)


def decode_key(text: str) -> bytes | None:
    """Return the 32 bytes that ``text`` holds in base64 (either alphabet, padded or not), or None."""
    plain = text.strip().replace("-", "+").replace("_", "/").rstrip("=")
    try:
        key = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_SIZE else None


def _read_keys(path: Path) -> tuple[list[bytes], FileSignature]:
    lines, signature = read_key_file(path)
    return _decode_all(lines, f"the key file {path}"), signature


def _decode_all(texts: Sequence[str], source: str) -> list[bytes]:
    keys: list[bytes] = []
    for number, text in enumerate(texts, 1):
        key = decode_key(text)
        if key is None:
            raise ConfigInvalid(f"key {number} of {source} is not 32 bytes in base64; make one with `caching keystore new-key`")
        keys.append(key)
    if not keys:
        raise ConfigInvalid(f"{source} holds no key; make one with `caching keystore new-key`")
    return keys


def _by_id(keks: Sequence[bytes]) -> tuple[dict[bytes, bytes], bytes]:
    if not keks:
        raise ConfigInvalid("no key-encryption key is given; make one with `caching keystore new-key`")
    for number, kek in enumerate(keks, 1):
        if len(kek) != KEY_SIZE:
            raise ConfigInvalid(f"key-encryption key {number} has {len(kek)} bytes instead of {KEY_SIZE}")
    return {kek_id_of(kek): bytes(kek) for kek in keks}, kek_id_of(keks[0])


def _wrap_aad(name: str, purpose: str) -> bytes:
    parts = [name.encode(), purpose.encode()]
    return b"caching-core/wrap/v1" + b"".join(len(part).to_bytes(4) + part for part in parts)
