"""The careful encoder: walks a value, keeps each type exactly, and names what it cannot keep."""

# Values are the caller's and of any type, and so is what type() says of them.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

import dataclasses
import enum
import sys
from typing import Any, Final

from caching_core.codec._arrays import loaded_numpy, pack_array
from caching_core.codec._classes import ClassBook
from caching_core.codec._leaf_types import CLASS, CONTAINER_TAGS, LEAF_PACKERS, MAP, NDARRAY, ZoneNotKept
from caching_core.codec._wire import Wire, nesting_bound
from caching_core.errors import ValueNotKept

DEEPEST: Final = 255  # what the parser's own writer goes down to
# Each ext type that holds others is a call of the parser inside the parser. So many may hold whatever
# they like; further ones only little, since a parser that goes too deep takes the process with it.
FREE_LAYERS: Final = 6
DEEPEST_LAYER: Final = 64
LARGEST_BOUND: Final = 1500

_AS_IS: Final = frozenset({type(None), bool, float, bytes})
_MIN_INT: Final = -(1 << 63)
_MAX_INT: Final = (1 << 64) - 1
_BUFFERS: Final = frozenset({bytearray, memoryview})
_CONTAINERS: Final = frozenset({dict, list, tuple, set, frozenset})
_SIMPLE: Final = frozenset({type(None), bool, int, float, str, bytes, *LEAF_PACKERS}) - _BUFFERS


class ExactEncoder:
    """One encoding. ``used`` collects the fingerprints of the registered classes that were met."""

    __slots__ = ("_book", "_wire", "used")

    def __init__(self, wire: Wire, book: ClassBook) -> None:
        """Encode for ``wire``, with the classes of ``book``."""
        self._wire = wire
        self._book = book
        self.used: dict[str, bytes] = {}

    def encode(self, value: Any) -> bytes:
        """Return the bytes; ValueNotKept names the type that stands in the way and the fix."""
        try:
            return self._wire.pack(self._tree(value, 0, 0))
        except RecursionError:
            raise _too_deep() from None

    def _tree(self, value: Any, depth: int, layer: int) -> Any:
        kind = type(value)
        if kind in _AS_IS or (kind is int and _MIN_INT <= value <= _MAX_INT):
            return value
        if kind is str:
            return _checked(value)
        if depth >= DEEPEST or layer > DEEPEST_LAYER:
            raise _too_deep()
        if kind is list:
            return [self._tree(item, depth + 1, layer) for item in value]
        if kind is dict:
            return self._map(value, depth + 1, layer)
        leaf = LEAF_PACKERS.get(kind)
        if leaf is not None:
            return self._leaf(leaf[0], leaf[1], value)
        tag = CONTAINER_TAGS.get(kind)
        if tag is not None:
            return self._ext(tag, [self._tree(item, depth + 1, layer + 1) for item in value], layer)
        return self._special(value, depth, layer)

    def _special(self, value: Any, depth: int, layer: int) -> Any:
        kind = type(value)
        known = self._book.by_type.get(kind)
        if known is not None:
            self.used[known.name] = known.fingerprint
            return self._ext(CLASS, [known.name, self._tree(known.dump(value), depth + 1, layer + 1)], layer)
        numpy = loaded_numpy()
        if numpy is not None and kind is numpy.ndarray:
            return self._wire.ext(NDARRAY, pack_array(value, numpy, self._wire))
        raise ValueNotKept(_explain(kind))

    def _map(self, value: dict[Any, Any], depth: int, layer: int) -> Any:
        if all(type(key) is str for key in value):
            return {_checked(key): self._tree(item, depth, layer) for key, item in value.items()}
        pairs: list[Any] = []
        for key, item in value.items():
            pairs += [self._tree(key, depth, layer + 1), self._tree(item, depth, layer + 1)]
        return self._ext(MAP, pairs, layer)

    def _leaf(self, tag: int, pack: Any, value: Any) -> Any:
        try:
            return self._wire.ext(tag, pack(value))
        except ZoneNotKept:
            zone = type(value.tzinfo)
            raise ValueNotKept(
                f"a time with a tzinfo of type {_name(zone)} is not kept; use zoneinfo.ZoneInfo(name) or datetime.timezone"
            ) from None
        except UnicodeEncodeError:
            raise ValueNotKept("the name of a time zone has lone surrogates; give it a name that UTF-8 can hold") from None

    def _ext(self, tag: int, parts: list[Any], layer: int) -> Any:
        data = self._wire.pack(parts)
        if layer >= FREE_LAYERS and nesting_bound(data) > LARGEST_BOUND:
            raise ValueNotKept(
                f"a value holds much inside more than {FREE_LAYERS} layers of tuples, sets, dicts with keys that are not str, or objects; "
                "use lists and dicts with str keys for the outer ones"
            )
        return self._wire.ext(tag, data)


def has_buffers(value: Any) -> bool:
    """Tell whether a bytearray or memoryview, or something unknown, stands in a value that was packed as plain."""
    rest = [value]
    while rest:
        item = rest.pop()
        kind = type(item)
        if kind in _CONTAINERS:
            parts = item.values() if kind is dict else item
            if not _SIMPLE.issuperset(map(type, parts)):
                rest.extend(part for part in parts if type(part) not in _SIMPLE)
        elif kind not in _SIMPLE:
            return True
    return False


def _checked(text: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueNotKept(
                "a str with lone surrogates is not kept: UTF-8 cannot hold it; store bytes, text.encode('utf-8', 'surrogatepass')"
            ) from None
    return text


def _too_deep() -> ValueNotKept:
    return ValueNotKept(f"a value is nested deeper than {DEEPEST} levels or contains itself; flatten it, or store an id instead")


def _name(kind: type[Any]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _explain(kind: type[Any]) -> str:
    what = f"a value of type {_name(kind)} is not kept"
    if issubclass(kind, enum.Enum) or dataclasses.is_dataclass(kind) or hasattr(kind, "__pydantic_fields__"):
        return f"{what} until the class is registered: register_class({kind.__qualname__})"
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return f"{what}: it would come back as a plain tuple; store value._asdict(), or make the class a registered dataclass"
    for base in (dict, list, set, frozenset, tuple, str, bytes, bytearray, int, float, complex):
        if issubclass(kind, base):
            return f"{what}: it would come back as {base.__name__}; store {base.__name__}(value) if that is what you want"
    if kind is memoryview:
        return f"{what}: it would come back as bytes; store bytes(value)"
    if "numpy" in sys.modules and kind.__module__ == "numpy":
        return f"{what}; store value.item() of a scalar, or numpy.asarray(value) of a special array"
    return f"{what}; convert it to dict, list, str or another plain type, or give it a serializer (register a BaseSerializer)"
