"""XAES-256-GCM, the extended-nonce AEAD of c2sp.org/XAES-256-GCM, on AES-256-GCM and one AES block call."""

import os
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_SIZE: Final = 32
NONCE_SIZE: Final = 24
PREFIX_SIZE: Final = 12
TAG_SIZE: Final = 16

Random = Callable[[int], bytes]


class Xaes256Gcm:
    """One 256-bit key. ``derive`` gives the AES-256-GCM object that all nonces with one 12-byte prefix share.

    Thread-safe: nothing changes after construction.
    """

    __slots__ = ("_blocks", "_mask")

    def __init__(self, key: bytes) -> None:
        """Take 32 key bytes."""
        if len(key) != KEY_SIZE:
            raise ValueError(f"an XAES-256-GCM key has {KEY_SIZE} bytes, not {len(key)}")
        # ECB of two counter blocks is CMAC's inner call, not a mode of encryption: the specification builds it so.
        self._blocks = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305
        doubled = int.from_bytes(self._encrypt(bytes(16))) << 1
        if doubled >> 128:
            doubled = (doubled & ((1 << 128) - 1)) ^ 0x87
        self._mask = doubled

    def derive_key(self, prefix: bytes) -> bytes:
        """Return the AES-256 key that belongs to the first 12 bytes of a nonce."""
        if len(prefix) != PREFIX_SIZE:
            raise ValueError(f"the prefix of a nonce has {PREFIX_SIZE} bytes, not {len(prefix)}")
        first = int.from_bytes(b"\x00\x01X\x00" + prefix) ^ self._mask
        second = int.from_bytes(b"\x00\x02X\x00" + prefix) ^ self._mask
        return self._encrypt(first.to_bytes(16) + second.to_bytes(16))

    def derive(self, prefix: bytes) -> AESGCM:
        """Return AES-256-GCM for all messages whose nonce begins with ``prefix``; it takes the nonce's last 12 bytes."""
        return AESGCM(self.derive_key(prefix))

    def seal(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """Encrypt one message: ciphertext and tag, without the nonce."""
        if len(nonce) != NONCE_SIZE:
            raise ValueError(f"a nonce has {NONCE_SIZE} bytes, not {len(nonce)}")
        return self.derive(nonce[:PREFIX_SIZE]).encrypt(nonce[PREFIX_SIZE:], plaintext, aad)

    def open(self, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes | None:
        """Decrypt one message; None where it is not what this key sealed under this nonce and ``aad``."""
        if len(nonce) != NONCE_SIZE or len(ciphertext) < TAG_SIZE:
            return None
        try:
            return self.derive(nonce[:PREFIX_SIZE]).decrypt(nonce[PREFIX_SIZE:], ciphertext, aad)
        except InvalidTag:
            return None

    def _encrypt(self, blocks: bytes) -> bytes:
        encryptor = self._blocks.encryptor()
        return encryptor.update(blocks) + encryptor.finalize()

    def __repr__(self) -> str:
        """Show no key."""
        return "Xaes256Gcm(key=***)"

    def __reduce__(self) -> str:
        """Refuse to leave the process."""
        raise TypeError("a key does not leave its process")


def seal_with_nonce(key: bytes, plaintext: bytes, aad: bytes, *, random: Random = os.urandom) -> bytes:
    """Seal one message under a fresh random nonce, which stands before the ciphertext."""
    nonce = random(NONCE_SIZE)
    return nonce + Xaes256Gcm(key).seal(nonce, plaintext, aad)


def open_with_nonce(key: bytes, sealed: bytes, aad: bytes) -> bytes | None:
    """Open what ``seal_with_nonce`` made; None where it is not that."""
    return Xaes256Gcm(key).open(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], aad)
