"""How memory keeps a value so that no caller can change what another one reads."""

# Values are the caller's and of any type, and so is what type() says of them.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

import dataclasses
import enum
import uuid
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final

from caching_core.codec._kinds import SerializerId

if TYPE_CHECKING:
    from caching_core.codec._codec import Codec, Payload

ATOMS: Final = frozenset({type(None), bool, int, float, complex, str, bytes, Decimal, uuid.UUID, datetime, date, time, timedelta})
MOST_COPIED: Final = 16
_DICT_BASE: Final = 184
_DICT_ITEM: Final = 96
_LIST_BASE: Final = 88
_LIST_ITEM: Final = 56
_ENUM_SIZE: Final = 64
_COPY_DICT: Final[Callable[[Any], Any]] = dict.copy
_COPY_LIST: Final[Callable[[Any], Any]] = list.copy
_BYTES: Final = int(SerializerId.BYTES)
_all_atoms: Final = ATOMS.issuperset

Kept = tuple[Any, Callable[[Any], Any] | None, int]


def isolate(value: Any, payload: "Payload | bytes | None", codec: "Codec") -> Kept:
    """Return how memory keeps ``value``: the object to keep, what makes a caller's copy of it, its size in bytes.

    Immutable values are shared: nothing makes a copy. A dict or list of at most 16 atoms is kept as a
    private copy, and copied again for each caller: three times faster than decoding. Everything else is
    kept packed and decoded for each caller. ``payload`` is the value's packed form, if there is one by
    now; mere bytes serve as a measure only, since they do not tell what decodes them. Without it the value
    is packed here if need be (ValueNotKept, ValueTooLarge).
    """
    kind = type(value)
    if kind in ATOMS:
        return value, None, getsizeof(value)
    if kind is dict and len(value) <= MOST_COPIED:
        kept = value.copy()  # before the look at it: another thread may be changing the caller's
        if _all_atoms(map(type, kept.values())):
            size = _flat_size(kept, payload, codec)
            if size:
                return kept, _COPY_DICT, size + _DICT_ITEM * len(kept) + _DICT_BASE
    elif kind is list and len(value) <= MOST_COPIED:
        copied = value.copy()
        if _all_atoms(map(type, copied)):
            return copied, _COPY_LIST, sum(map(getsizeof, copied)) + getsizeof(copied)
    elif kind is tuple and _all_atoms(map(type, value)):
        return value, None, sum(map(getsizeof, value)) + getsizeof(value)
    elif is_immutable(value, codec):
        return value, None, _shared_size(value)
    return _packed(value, payload, codec)


def _flat_size(kept: dict[Any, Any], payload: "Payload | bytes | None", codec: "Codec") -> int:
    """Return the bytes of a dict's keys and values, 0 where a key is not an atom."""
    if payload is None:
        try:
            return len(codec.pack_plain(kept))  # the fastest measure; done means that all keys are str
        except TypeError:
            pass  # values of other types, or other keys
    if not _all_atoms(map(type, kept)):
        return 0
    if payload is not None:
        return len(payload if isinstance(payload, bytes) else payload.raw) + 1
    return sum(map(getsizeof, kept)) + sum(map(getsizeof, kept.values())) + 1


def is_immutable(value: Any, codec: "Codec") -> bool:
    """Tell whether a value can be shared: atoms, tuples and frozensets of such, Enum members, frozen dataclasses, registered types."""
    kind = type(value)
    if kind in ATOMS:
        return True
    if kind is tuple or kind is frozenset:
        return _all_atoms(map(type, value)) or _is_deeply_immutable(value, codec)
    if isinstance(value, enum.Enum) or codec.is_shared(kind):
        return True
    params = getattr(kind, "__dataclass_params__", None)
    if params is None or not params.frozen or "__dataclass_params__" not in vars(kind):
        return False
    names = [field.name for field in dataclasses.fields(kind)]
    # What is set beside the fields may be anything, and changes although the fields do not.
    if hasattr(value, "__dict__") and not vars(value).keys() <= {*names}:
        return False
    return all(is_immutable(getattr(value, name, None), codec) for name in names)


def _is_deeply_immutable(value: Any, codec: "Codec") -> bool:
    try:
        return all(is_immutable(item, codec) for item in value)
    except RecursionError:
        return False  # packing it will say what is wrong


def _packed(value: Any, payload: "Payload | bytes | None", codec: "Codec") -> Kept:
    if payload is None or isinstance(payload, bytes):
        payload = codec.pack(value)
    raw = payload.raw
    size = getsizeof(raw)
    return (raw, None, size) if payload.serializer == _BYTES else (raw, codec.loader(payload), size)


def _shared_size(value: Any) -> int:
    kind = type(value)
    if isinstance(value, enum.Enum):
        return _ENUM_SIZE
    if kind is tuple or kind is frozenset:
        return getsizeof(value) + sum(map(_shared_size, value))
    if dataclasses.is_dataclass(value):
        parts = (getattr(value, field.name, None) for field in dataclasses.fields(value))
        return getsizeof(value) + getsizeof(getattr(value, "__dict__", None)) + sum(map(_shared_size, parts))
    return getsizeof(value)
