"""Frames without security: a checksum stands where a cipher would."""

from typing import Final
from zlib import crc32

from caching_core.crypto import Random


class Crc32:
    """Stands where a cipher would, in plain frames: the body as it is, and a checksum in place of a tag."""

    __slots__ = ()

    @staticmethod
    def encrypt(_nonce: bytes, body: bytes, aad: bytes) -> bytes:
        """Append the checksum of both to the body."""
        return body + bytes(12) + crc32(body, crc32(aad)).to_bytes(4)


class PlainBatch:
    """Stands where a key's batch would, in plain frames."""

    __slots__ = ("_random",)
    names: Final = bytes(28)
    cipher: Final = Crc32

    def __init__(self, random: Random) -> None:
        """Take a source of random bytes."""
        self._random = random

    def nonce(self) -> bytes:
        """Return 12 random bytes: they hide nothing, but a compare-and-swap tells frames apart by them."""
        return self._random(12)
