"""The sealed metadata of a frame: epoch, seq, tags, schema, user serialiser, and the key where its stored name is hashed."""

# Values are the caller's and of any type, and so is what type() says of them.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from caching_core.codec._kinds import Refusal, Refused
from caching_core.codec._wire import reference_wire

_LONGEST: Final = 6
_WIRE: Final = reference_wire()


class Meta(NamedTuple):
    """What the metadata says."""

    epoch: bytes
    seq: int
    tags: tuple[str, ...]
    schema: Mapping[str, bytes] | None
    user: str | None
    key: str | None


def pack_meta(meta: Meta) -> bytes:
    """Return a msgpack array; trailing fields that are None are left out."""
    parts: list[object] = [meta.epoch, meta.seq, list(meta.tags), meta.schema, meta.user, meta.key]
    while parts[-1] is None:
        parts.pop()
    return _WIRE.pack(parts)


def unpack_meta(data: bytes) -> Meta:
    """Return the fields; Refused where the bytes are not such an array."""
    try:
        parts: Any = _WIRE.unpack(data)
    except (ValueError, TypeError, RecursionError):
        raise Refused(Refusal.METADATA) from None
    if type(parts) is not list or not 3 <= len(parts) <= _LONGEST:
        raise Refused(Refusal.METADATA)
    meta = Meta(*parts, *[None] * (_LONGEST - len(parts)))
    if not _is_good(meta):
        raise Refused(Refusal.METADATA)
    return meta._replace(tags=tuple(meta.tags))


def _is_good(read: Any) -> bool:
    """Tell whether the fields have their types; until then they are of any."""
    return (
        type(read.epoch) is bytes
        and type(read.seq) is int
        and type(read.tags) is list
        and all(type(tag) is str for tag in read.tags)
        and (read.user is None or type(read.user) is str)
        and (read.key is None or type(read.key) is str)
        and (read.schema is None or (type(read.schema) is dict and all(type(item) is bytes for item in read.schema.values())))
    )
