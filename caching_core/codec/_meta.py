"""The sealed metadata of a frame: epoch, seq, tags, schema, user serialiser, and the key where its stored name is hashed."""

from collections.abc import Mapping
from typing import NamedTuple

import msgpack  # type: ignore[import-untyped]  # the package ships no annotations

from caching_core.codec._kinds import Refusal, Refused

_LONGEST = 6


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
    packed: bytes = msgpack.packb(parts, use_bin_type=True)
    return packed


def unpack_meta(data: bytes) -> Meta:
    """Return the fields; Refused where the bytes are not such an array."""
    try:
        parts = msgpack.unpackb(data, raw=False, strict_map_key=True)
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError):
        raise Refused(Refusal.METADATA) from None
    if type(parts) is not list or not 3 <= len(parts) <= _LONGEST:
        raise Refused(Refusal.METADATA)
    epoch, seq, tags, schema, user, key = parts + [None] * (_LONGEST - len(parts))
    is_good = (
        type(epoch) is bytes
        and type(seq) is int
        and type(tags) is list
        and all(type(tag) is str for tag in tags)
        and (user is None or type(user) is str)
        and (key is None or type(key) is str)
        and (schema is None or (type(schema) is dict and all(type(item) is bytes for item in schema.values())))
    )
    if not is_good:
        raise Refused(Refusal.METADATA)
    return Meta(epoch, seq, tuple(tags), schema, user, key)
