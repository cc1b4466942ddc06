"""What an authenticated frame holds."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from caching_core.codec._kinds import CompressorId, SerializerId


class Opened(NamedTuple):
    """An authenticated frame. Times are milliseconds of the store's clock; None is never."""

    raw: bytes
    serializer: int
    user: str | None
    schema: Mapping[str, bytes] | None
    flags: int
    cost_ms: int
    created_ms: int
    soft_at_ms: int | None
    hard_at_ms: int | None
    version_no: int
    epoch: bytes
    seq: int
    tags: tuple[str, ...]
    nonce: bytes
    stored_key: str | None
    compressor: int

    @property
    def serializer_name(self) -> str:
        """The serialiser's name, a user's own where it is one."""
        return self.user or SerializerId(self.serializer).name.lower()

    @property
    def compressor_name(self) -> str:
        """The compressor's name."""
        return CompressorId(self.compressor).name.lower()

    def __repr__(self) -> str:
        """Show no value, no key, no tag."""
        return f"Opened({len(self.raw)} bytes, serializer={self.serializer}, version_no={self.version_no})"


# Half the price of calling the class.
new_opened: Final[Callable[[type[Opened], tuple[object, ...]], Opened]] = tuple.__new__  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
