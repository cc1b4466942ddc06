"""The msgpack library in use: ormsgpack, or the msgpack package where there is no wheel of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]  # the package ships no annotations

_reference: Final[Any] = msgpack  # Any: it has none, see above
# Any: there is no wheel of it for every platform.
_fast: Final[Any] = import_module("ormsgpack") if find_spec("ormsgpack") is not None else None

Hook = Callable[[int, bytes], Any]
Default = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Wire:
    """How plain trees become bytes and come back.

    ``pack`` takes None, bool, int of 64 bits, float, str, bytes, list, dict with str keys, and ``ext``
    objects. ``is_exact`` says that it also refuses everything else by TypeError, so that it can be tried
    before looking (bytearray and memoryview, which pass as bytes, excepted).
    """

    name: str
    pack: Callable[..., bytes]  # (value, default=None)
    unpack: Callable[..., Any]  # (data, *, ext_hook)
    ext: Callable[[int, bytes], Any]
    is_exact: bool


def reference_wire() -> Wire:
    """Return the slow and well-known implementation."""
    return Wire(
        name="msgpack",
        pack=partial(_reference.packb, use_bin_type=True, strict_types=True),
        unpack=partial(_reference.unpackb, raw=False, strict_map_key=True),
        ext=_reference.ExtType,
        is_exact=False,
    )


def fast_wire() -> Wire:
    """Return ormsgpack's, which keeps its hands off every type that it would change; the reference where it is missing."""
    if _fast is None:
        return reference_wire()
    passthrough = (
        _fast.OPT_PASSTHROUGH_BIG_INT
        | _fast.OPT_PASSTHROUGH_DATACLASS
        | _fast.OPT_PASSTHROUGH_DATETIME
        | _fast.OPT_PASSTHROUGH_ENUM
        | _fast.OPT_PASSTHROUGH_SUBCLASS
        | _fast.OPT_PASSTHROUGH_TUPLE
        | _fast.OPT_PASSTHROUGH_UUID
    )
    return Wire(
        name="ormsgpack",
        pack=partial(_fast.packb, option=passthrough),
        unpack=_fast.unpackb,
        ext=_fast.Ext,
        is_exact=True,
    )


# Bytes with which a msgpack object may begin: ext types, and everything that can hold another object.
EXT_HEADS: Final = bytes([0xC7, 0xC8, 0xC9, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8])
NESTING_HEADS: Final = bytes([*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF]) + EXT_HEADS


def nesting_bound(data: bytes) -> int:
    """Return a number that the nesting of ``data`` cannot exceed: the bytes in it that could open a container."""
    return len(data) - len(data.translate(None, NESTING_HEADS))


def has_ext(data: bytes) -> bool:
    """Tell whether an ext type may stand in ``data``; False is certain."""
    return 0xC7 in data or 0xD6 in data or 0xD8 in data or 0xC8 in data or 0xC9 in data or 0xD4 in data or 0xD5 in data or 0xD7 in data


def has_bin(data: bytes) -> bool:
    """Tell whether a bin object may stand in ``data``; False is certain."""
    return 0xC4 in data or 0xC5 in data or 0xC6 in data
