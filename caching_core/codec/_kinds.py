"""The fixed numbers of the envelope, and why a frame may be refused."""

import enum


class SerializerId(enum.IntEnum):
    """What made the payload. The numbers stand in stored frames and never change."""

    BYTES = 0
    MSGPACK = 1
    JSON = 2
    INT = 3
    HTTP = 4
    NUMPY = 5
    PICKLE = 16
    USER = 127


class CompressorId(enum.IntEnum):
    """What shortened the payload. The numbers stand in stored frames and never change."""

    NONE = 0
    LZ4 = 1
    ZSTD = 2
    ZSTD_DICTIONARY = 3


class Flag(enum.IntFlag):
    """Bits of the frame's flags; the others must be 0."""

    NEGATIVE = 1
    HTTP = 2
    STALE_IF_ERROR = 4
    HIGH = 16


class Refusal(enum.StrEnum):
    """Why a frame is not opened. Every one of them is a miss."""

    FOREIGN = "foreign"  # not one of ours
    VERSION = "version"
    SUITE = "suite"
    DOWNGRADE = "downgrade"  # a plain frame where there are keys
    UNKNOWN_KEY = "unknown_key"
    LENGTH = "length"  # too short or too long for a frame, or not as long as it says
    TAG = "tag"  # does not authenticate under a key whose id matched
    CHECKSUM = "checksum"  # a plain frame with a wrong CRC32
    FLAGS = "flags"
    SERIALIZER = "serializer"  # unknown, or one that this process does not open
    COMPRESSOR = "compressor"  # unknown, or its data does not unpack to the length stated
    DICTIONARY = "dictionary"
    METADATA = "metadata"
    SCHEMA = "schema"  # a registered class has another shape now
    PICKLE = "pickle"  # names something that this process's list does not
    VALUE = "value"  # the payload does not decode


class Refused(Exception):
    """A frame is not opened; never leaves the engine. Carries the reason and nothing of the frame."""

    def __init__(self, reason: Refusal) -> None:
        """Take the reason."""
        super().__init__(str(reason))
        self.reason = reason

    @property
    def tampered(self) -> bool:
        """Whether the tag failed under a key whose id matched: the only case in which bytes may be deleted."""
        return self.reason is Refusal.TAG
