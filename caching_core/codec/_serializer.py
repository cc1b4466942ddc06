"""Serialisers of the user's own."""

import abc
from typing import Any


class BaseSerializer(abc.ABC):
    """Turns values of the user's into bytes and back. Must be thread-safe; whatever it raises is mapped."""

    @abc.abstractmethod
    def serialize(self, obj: Any) -> bytes:
        """Return the bytes that ``deserialize`` makes an equal value of."""

    @abc.abstractmethod
    def deserialize(self, data: bytes) -> Any:
        """Return the value."""
