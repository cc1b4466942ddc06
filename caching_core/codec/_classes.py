"""Registered classes: how an Enum, a dataclass or a pydantic model is taken apart and put together."""

# Values are the caller's and of any type, and so is what type() says of them.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

import dataclasses
import enum
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from caching_core.codec._kinds import Refusal, Refused
from caching_core.errors import ConfigInvalid, ValueNotKept

_FINGERPRINT_SIZE: Final = 8


@dataclasses.dataclass(frozen=True, slots=True)
class KnownClass:
    """A class under the name by which stored values know it; ``dump`` gives parts that ``load`` puts together."""

    name: str
    cls: type
    fingerprint: bytes
    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]


class ClassBook:
    """The registered classes of one codec. Reading needs no lock: a registration replaces both tables."""

    __slots__ = ("by_name", "by_type")

    def __init__(self) -> None:
        """Start empty."""
        self.by_type: Mapping[type, KnownClass] = {}
        self.by_name: Mapping[str, KnownClass] = {}

    def add(self, cls: type, name: str | None) -> None:
        """Know ``cls`` from now on; ConfigInvalid where the name is another's or the kind of class cannot be kept."""
        if not isinstance(cls, type):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers need not be typed
            raise ConfigInvalid(f"register_class takes a class, got a value of type {type(cls).__name__}; pass the class itself")
        if not (name is None or isinstance(name, str)):  # pyright: ignore[reportUnnecessaryIsInstance]  # the same
            raise ConfigInvalid(f'the name of a class must be str, got {type(name).__name__}; pass name="…", or leave it out')
        known = _describe(cls, name or f"{cls.__module__}.{cls.__qualname__}")
        other = self.by_name.get(known.name)
        if other is not None and other.cls is not cls:
            raise ConfigInvalid(f"the name {known.name!r} is taken by {other.cls.__qualname__}; register {cls.__qualname__} under another")
        renamed = self.by_type.get(cls)
        if renamed is not None and renamed.name != known.name:
            raise ConfigInvalid(f"{cls.__qualname__} is registered already, as {renamed.name!r}")
        self.by_type = {**self.by_type, cls: known}
        self.by_name = {**self.by_name, known.name: known}

    def check(self, schema: Mapping[str, bytes]) -> None:
        """Refuse a payload whose classes are unknown here or had another shape when it was written."""
        for name, fingerprint in schema.items():
            known = self.by_name.get(name)
            if known is None or known.fingerprint != fingerprint:
                raise Refused(Refusal.SCHEMA)


def _describe(cls: type, name: str) -> KnownClass:
    if issubclass(cls, enum.Flag):
        members = [f"{member.name}={member.value!r}" for member in cls]
        return KnownClass(name, cls, _fingerprint("flag", members), lambda member: member.value, cls)
    if issubclass(cls, enum.Enum):
        return KnownClass(name, cls, _fingerprint("enum", list(cls.__members__)), lambda member: member.name, cls.__getitem__)
    if "__pydantic_fields__" in vars(cls):
        return _describe_model(cls, name)
    if dataclasses.is_dataclass(cls):
        return _describe_dataclass(cls, name)
    raise ConfigInvalid(f"{cls.__qualname__} is no Enum, dataclass or pydantic model; give them a serializer (register a BaseSerializer)")


def _describe_dataclass(cls: type, name: str) -> KnownClass:
    fields = dataclasses.fields(cls)
    names = tuple(field.name for field in fields)
    others = tuple({slot for base in cls.__mro__ for slot in _slots(base)} - {*names, "__dict__", "__weakref__"})

    def dump(value: Any) -> list[Any]:
        beyond = vars(value).keys() - names if hasattr(value, "__dict__") else set()
        if beyond or any(hasattr(value, slot) for slot in others):
            raise ValueNotKept(f"a {cls.__qualname__} holds attributes that are not fields of it, which would be lost; make them fields")
        try:
            return [getattr(value, field) for field in names]
        except AttributeError:
            raise ValueNotKept(f"a {cls.__qualname__} lacks one of its fields; set them all") from None

    def load(parts: list[Any]) -> Any:
        if len(parts) != len(names):
            raise ValueError("another number of fields")
        value: Any = object.__new__(cls)
        for field, part in zip(names, parts, strict=True):
            object.__setattr__(value, field, part)  # frozen ones too; __init__ would run defaults and side effects again
        return value

    return KnownClass(name, cls, _fingerprint("dataclass", (f"{field.name}:{field.type}" for field in fields)), dump, load)


def _describe_model(cls: Any, name: str) -> KnownClass:
    fields = tuple(cls.__pydantic_fields__)

    def dump(value: Any) -> list[Any]:
        state = value.__getstate__()
        beyond = state["__dict__"].keys() - fields
        if beyond or state.get("__pydantic_private__"):
            raise ValueNotKept(f"a {cls.__qualname__} holds private or cached attributes, which would be lost; make them fields")
        return [state["__dict__"], state.get("__pydantic_extra__"), sorted(state["__pydantic_fields_set__"])]

    def load(parts: list[Any]) -> Any:
        values, extra, fields_set = parts
        value = cls.__new__(cls)
        value.__setstate__(
            {"__dict__": values, "__pydantic_extra__": extra, "__pydantic_fields_set__": set(fields_set), "__pydantic_private__": None}
        )
        return value

    shape = [f"{field}:{info.annotation!r}" for field, info in cls.__pydantic_fields__.items()]
    return KnownClass(name, cls, _fingerprint("model", shape), dump, load)


def _slots(cls: type) -> tuple[str, ...]:
    slots = vars(cls).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _fingerprint(kind: str, parts: Iterable[str]) -> bytes:
    return hashlib.sha256("\0".join([kind, *parts]).encode()).digest()[:_FINGERPRINT_SIZE]
