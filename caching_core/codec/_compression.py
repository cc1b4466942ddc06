"""Compression below L1: lz4 blocks or zstd level 1, where it pays, and never a bomb on the way back."""

from typing import Any, Final

import lz4.block
import zstandard

from caching_core.codec._kinds import CompressorId, Refusal, Refused
from caching_core.types import CompressionAlgorithm

_lz4: Final[Any] = lz4.block  # Any: it ships no annotations

SMALLEST: Final = 64
AUTO_SMALLEST: Final = 65536
_WORTH: Final = 0.9
_LEVEL: Final = 1
_LEAST_WINDOW: Final = 8 << 20  # what RFC 8878 asks every decoder to accept


class Compressor:
    """Compresses with one algorithm and reads all of them. Thread-safe: contexts are lent from lists.

    ``auto`` is zstd from 64 KiB up and nothing below: on a host's own disk compression saves only space, and
    small structured values gain little without a dictionary (1.3 to 1.6 times) and cost more than sealing does.
    """

    __slots__ = ("_algorithm", "_contexts", "_largest", "_readers", "smallest")

    def __init__(self, algorithm: CompressionAlgorithm, *, largest: int) -> None:
        """Unpack to at most ``largest`` bytes. ``smallest`` is the length from which trying makes sense."""
        self._algorithm = algorithm
        self._largest = largest
        self._contexts: list[zstandard.ZstdCompressor] = []
        self._readers: list[zstandard.ZstdDecompressor] = []
        self.smallest = {CompressionAlgorithm.NONE: 1 << 62, CompressionAlgorithm.AUTO: AUTO_SMALLEST}.get(algorithm, SMALLEST)

    def compress(self, raw: bytes) -> tuple[int, bytes]:
        """Return compressor id and payload; ``raw`` itself where compression does not take off a tenth."""
        if len(raw) < self.smallest:
            return 0, raw
        if self._algorithm is CompressionAlgorithm.LZ4:
            kind, packed = CompressorId.LZ4, _lz4.compress(raw, store_size=False)
        else:
            kind, packed = CompressorId.ZSTD, self._zstd(raw)
        return (kind, packed) if len(packed) <= _WORTH * len(raw) else (0, raw)

    def decompress(self, kind: int, payload: bytes, raw_len: int) -> bytes:
        """Return exactly ``raw_len`` bytes, or raise Refused before anything larger is allocated."""
        if kind == CompressorId.ZSTD_DICTIONARY:
            raise Refused(Refusal.DICTIONARY)
        if raw_len > self._largest:
            raise Refused(Refusal.LENGTH)
        if kind == CompressorId.LZ4:
            raw = self._read_lz4(payload, raw_len)
        elif kind == CompressorId.ZSTD:
            raw = self._read_zstd(payload, raw_len)
        else:
            raise Refused(Refusal.COMPRESSOR)
        if len(raw) != raw_len:
            raise Refused(Refusal.COMPRESSOR)
        return raw

    def _zstd(self, raw: bytes) -> bytes:
        contexts = self._contexts
        try:
            context = contexts.pop()
        except IndexError:
            context = zstandard.ZstdCompressor(level=_LEVEL)
        try:
            return context.compress(raw)
        finally:
            contexts.append(context)

    def _read_zstd(self, payload: bytes, raw_len: int) -> bytes:
        try:
            frame = zstandard.get_frame_parameters(payload)
        except zstandard.ZstdError:
            raise Refused(Refusal.COMPRESSOR) from None
        if frame.dict_id:
            raise Refused(Refusal.DICTIONARY)
        # The library allocates what the frame states, whatever max_output_size says: so look first.
        if frame.content_size != raw_len or frame.window_size > max(self._largest, _LEAST_WINDOW):
            raise Refused(Refusal.COMPRESSOR)
        readers = self._readers
        try:
            reader = readers.pop()
        except IndexError:
            reader = zstandard.ZstdDecompressor()
        try:
            return reader.decompress(payload, max_output_size=raw_len, allow_extra_data=False)
        except zstandard.ZstdError:
            raise Refused(Refusal.COMPRESSOR) from None
        finally:
            readers.append(reader)

    @staticmethod
    def _read_lz4(payload: bytes, raw_len: int) -> bytes:
        try:
            raw: bytes = _lz4.decompress(payload, uncompressed_size=raw_len)
        except (_lz4.LZ4BlockError, ValueError):
            raise Refused(Refusal.COMPRESSOR) from None
        return raw
