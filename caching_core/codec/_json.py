"""JSON for readers that are not Python: only what JSON keeps exactly."""

# Values are the caller's and of any type, and so is what type() says of them.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

import math
from typing import Any, Final

import orjson

from caching_core.errors import ValueNotKept

_DEEPEST: Final = 250
_ATOMS: Final = frozenset({type(None), bool})


def dump_json(value: Any) -> bytes:
    """Return UTF-8 JSON; ValueNotKept for whatever would come back as something else."""
    try:
        _check(value, 0)
        return orjson.dumps(value)
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise ValueNotKept(f"JSON does not keep this value: {error}; leave the serializer at msgpack") from None


def load_json(data: bytes) -> Any:
    """Return the value; ValueError where it is no JSON."""
    return orjson.loads(data)


def _check(value: Any, depth: int) -> None:
    kind = type(value)
    if kind in _ATOMS or kind is str or (kind is int and -(1 << 63) <= value < 1 << 64) or (kind is float and math.isfinite(value)):
        return
    if depth > _DEEPEST:
        raise ValueNotKept(f"a value is nested deeper than {_DEEPEST} levels or contains itself; flatten it")
    if kind is list:
        for item in value:
            _check(item, depth + 1)
        return
    if kind is dict and all(type(key) is str for key in value):
        for item in value.values():
            _check(item, depth + 1)
        return
    raise ValueNotKept(f"JSON does not keep a value of type {kind.__qualname__} exactly; leave the serializer at msgpack")
