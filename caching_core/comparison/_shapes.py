"""The values of suite disk, by name: what two processes make alike without passing them on."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from caching_core.bench import document_value, flat_value, page_value, record_value

SHAPES: Mapping[str, Callable[[int], object]] = MappingProxyType(
    {"flat": flat_value, "record": record_value, "page": page_value, "document": document_value}
)


def key_of(shape: str, number: int) -> str:
    """Return the key of the value ``number`` of a shape."""
    return f"{shape}:{number}"
