"""The layout of a frame: 80 bytes of header, then the sealed body with its tag."""

import struct
from typing import Final

from caching_core.codec._kinds import Refusal, Refused

HEADER: Final = 80
TAG: Final = 16
OVERHEAD: Final = HEADER + TAG
META_PREFIX: Final = 2
LARGEST_META: Final = 0xFFFF
NEVER: Final = 0xFFFFFFFF
UNIT_MS: Final = 10
VERSION_BITS: Final = 20  # of a version number, below its millisecond

# Magic, version and suite as one number: they are compared at once.
SEALED: Final = 0xCCE10101
PLAIN: Final = 0xCCE00101

# magic+version+suite, flags, serializer, compressor, raw_len, cost_ms, created_ms, soft, hard, version_no,
# key id + nonce prefix, rest of the nonce
LAYOUT: Final = struct.Struct(">IHBBIIQIIQ28s12s")
# As it stands in a store, after the mark byte: magic to compressor as one number, then as above without the cost.
STORED: Final = struct.Struct(">BQI4xQIIQ28s12s")
READING: Final = struct.Struct(">IHBBIIQIIQ")


def frame_nonce(frame: bytes) -> bytes:
    """Return the 24 bytes that tell this frame from every other one."""
    return frame[56:80]


def frame_key_id(frame: bytes) -> bytes:
    """Return the id of the key that sealed it."""
    return frame[40:56]


def units(ms: int | None) -> int:
    """Return a lifetime in units of 10 ms, rounded down; None and what is too long for the field are for ever."""
    if ms is None:
        return NEVER
    whole = ms // UNIT_MS
    return 0 if whole < 0 else min(whole, NEVER)


def why_not_ours(head: int) -> Refused:
    """Return the refusal of a frame that begins neither like a sealed nor like the expected plain one."""
    magic, version = head >> 16, head >> 8 & 0xFF
    if magic not in (SEALED >> 16, PLAIN >> 16):
        return Refused(Refusal.FOREIGN)
    if version != SEALED >> 8 & 0xFF:
        return Refused(Refusal.VERSION)
    return Refused(Refusal.SUITE)
