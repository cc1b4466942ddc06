"""The port to the keystore: rows of wrapped root keys, which a higher layer keeps."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


class KeyState(enum.StrEnum):
    """A root key's life: added everywhere first, then promoted, kept for opening, disabled, destroyed."""

    STAGED = "staged"
    PRIMARY = "primary"
    ENABLED = "enabled"
    DISABLED = "disabled"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One wrapped root key: the id of the data key that comes of it, and of the key that wraps it."""

    key_id: bytes
    state: KeyState
    wrapped: bytes = field(repr=False)
    kek_id: bytes
    created_ms: int


class KeyStore(Protocol):
    """Where root keys lie, wrapped. Raises KeyUnavailable, never a driver's error."""

    async def load(self, name: str) -> Sequence[KeyRow]:
        """Return the rows that stand under ``name`` (a tenant, or ``@fleet``)."""
        ...

    async def create(self, name: str, row: KeyRow) -> KeyRow:
        """Add ``row`` unless another stands, and return the row that stands: the first writer wins."""
        ...
