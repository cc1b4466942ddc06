"""Names that every layer shares: levels, algorithms, sentinels, small result types."""

import enum
from dataclasses import dataclass
from typing import Final


class CacheLevel(enum.StrEnum):
    """A level of the hierarchy: memory, disk or Redis, distributed."""

    L1 = "l1"
    L2 = "l2"
    L3 = "l3"


class CompressionAlgorithm(enum.StrEnum):
    """How values are compressed below L1; ``auto`` chooses by what pays."""

    NONE = "none"
    LZ4 = "lz4"
    ZSTD = "zstd"
    AUTO = "auto"


class Missing(enum.Enum):
    """The sentinel for "no value": ``None`` is a value like any other."""

    MISSING = "MISSING"


MISSING: Final = Missing.MISSING


class Unset(enum.Enum):
    """The sentinel for "the caller did not say": distinct from ``None`` (for ever)."""

    UNSET = "UNSET"


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True)
class Invalidated:
    """What an invalidation did: ``count`` names; ``pending`` if the shared store has not heard it.

    Truthy when at least one name was there to invalidate.
    """

    count: int
    pending: bool = False

    def __bool__(self) -> bool:
        """Return whether anything was invalidated."""
        return self.count > 0
