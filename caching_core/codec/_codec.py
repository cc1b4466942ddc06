"""Values to bytes and back: which serialiser, how large, how compressed, and how a value is kept in memory."""

# Values are the caller's and of any type, and so is what type() says of them.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, Protocol

from caching_core.codec._classes import ClassBook
from caching_core.codec._compression import Compressor
from caching_core.codec._json import dump_json, load_json
from caching_core.codec._kinds import Refusal, Refused, SerializerId
from caching_core.codec._packer import MsgpackPacker
from caching_core.codec._pickle import PickleSerializer
from caching_core.codec._serializer import BaseSerializer
from caching_core.codec._wire import Hook, fast_wire, reference_wire
from caching_core.errors import ConfigInvalid, ValueNotKept, ValueTooLarge
from caching_core.types import CompressionAlgorithm

BUILT_IN: Final = ("msgpack", "json")
Thaw = Callable[[Any], Any]

_BYTES: Final = int(SerializerId.BYTES)
_MSGPACK: Final = int(SerializerId.MSGPACK)
_JSON: Final = int(SerializerId.JSON)
_INT: Final = int(SerializerId.INT)
_PICKLE: Final = int(SerializerId.PICKLE)
_USER: Final = int(SerializerId.USER)
_MAX_INT: Final = 1 << 63
UNDECODABLE: Final = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
    MemoryError,
    ImportError,
    struct.error,
)


class Payload(Protocol):
    """Serialised bytes and what made them: a ``Packed`` or an ``Opened``."""

    @property
    def serializer(self) -> int:
        """The serialiser's number."""
        ...

    @property
    def raw(self) -> bytes:
        """The bytes before compression."""
        ...

    @property
    def user(self) -> str | None:
        """The name of a serialiser of the user's."""
        ...


class Packed:
    """A serialised value. ``schema``: the fingerprints of the registered classes in it."""

    __slots__ = ("raw", "schema", "serializer", "user")

    def __init__(self, serializer: int, raw: bytes, *, user: str | None = None, schema: Mapping[str, bytes] | None = None) -> None:
        """Bind the parts."""
        self.serializer = serializer
        self.raw = raw
        self.user = user
        self.schema = schema

    def __repr__(self) -> str:
        """Show no value."""
        return f"Packed(serializer={self.serializer}, {len(self.raw)} bytes)"


class Codec:
    """Serialises, compresses and isolates values. Thread-safe; registrations are seen by later calls."""

    __slots__ = (
        "_book",
        "_default",
        "_immutable",
        "_is_quick",
        "_packer",
        "_pickle",
        "_users",
        "compressor",
        "load",
        "max_value_bytes",
        "pack_plain",
        "unpack_with_hook",
    )

    def __init__(
        self,
        *,
        compression: CompressionAlgorithm = CompressionAlgorithm.NONE,
        max_value_bytes: int = 16 << 20,
        serializer: str = "msgpack",
        library: Literal["fast", "reference"] = "fast",
        pickle: PickleSerializer | None = None,
    ) -> None:
        """Start without registrations; ``serializer`` is used where a call names none, and may be registered later.

        ``pickle`` takes what msgpack does not keep; without one nothing is pickled, and no pickle read.
        """
        self.max_value_bytes = max_value_bytes
        self.compressor = Compressor(compression, largest=max_value_bytes)
        self._default = serializer
        self._pickle = pickle
        self._book = ClassBook()
        wire = fast_wire() if library == "fast" else reference_wire()
        self._packer = MsgpackPacker(wire, self._book)
        self._is_quick = wire.is_exact and serializer == "msgpack"
        # Packs what msgpack itself knows, with keys of str only, or raises TypeError; also the fastest way to measure.
        self.pack_plain: Callable[[Any], bytes] = wire.pack if wire.is_exact else self._pack_nothing
        self.load: Thaw = self._packer.load  # decodes every msgpack payload
        # For who calls it often: the library's own function, and the argument with which it decodes what this codec packed.
        self.unpack_with_hook: tuple[Callable[..., Any], Hook] = (wire.unpack, self._packer.hook)
        self._users: Mapping[str, BaseSerializer] = {}
        self._immutable: frozenset[type] = frozenset()

    def register(self, name: str, serializer: BaseSerializer) -> None:
        """Offer a serialiser of the user's under ``name``; the name stands in every entry that it makes."""
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers need not be typed
            raise ConfigInvalid(f"a serializer's name must be str, got {type(name).__name__}; pass the name first, then the serializer")
        if name in BUILT_IN or not name or len(name) > 255:
            raise ConfigInvalid(f"a serializer cannot be called {name!r}; choose another name of 1 to 255 characters")
        if not isinstance(serializer, BaseSerializer):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers need not be typed
            raise ConfigInvalid(f"the serializer {name!r} must derive from BaseSerializer, {type(serializer).__qualname__} does not")
        self._users = {**self._users, name: serializer}

    def register_class(self, cls: type, *, name: str | None = None) -> None:
        """Keep instances of an Enum, dataclass or pydantic model; ``name`` (default: its path) stands in the entries.

        An entry written when the class had another shape is a miss.
        """
        self._book.add(cls, name)

    def register_immutable(self, cls: type) -> None:
        """Take instances of ``cls`` for values that nobody changes: memory then shares one object."""
        self._immutable |= {cls}

    def is_shared(self, cls: type) -> bool:
        """Tell whether ``cls`` was registered as immutable."""
        return cls in self._immutable

    @property
    def reads_pickle(self) -> bool:
        """Return whether a pickle is read here at all."""
        return self._pickle is not None

    def check_schema(self, schema: Mapping[str, bytes]) -> None:
        """Raise Refused where a class is unknown here or has another shape."""
        self._book.check(schema)

    def require(self, serializer: str | None) -> None:
        """Raise ConfigInvalid for a serialiser that ``pack`` would not know."""
        name = self._default if serializer is None else serializer
        if name not in ("msgpack", "json"):
            self._user(name)

    def _user(self, name: str) -> BaseSerializer:
        user = self._users.get(name)
        if user is None:
            known = ", ".join([*BUILT_IN, *self._users])
            raise ConfigInvalid(f"no serializer is called {name!r}; known are {known}")
        return user

    def pack(self, value: Any, *, serializer: str | None = None) -> Packed:
        """Serialise. ValueNotKept where it would not come back equal, ValueTooLarge above ``max_value_bytes``."""
        name = self._default if serializer is None else serializer
        if name == "msgpack":
            packed = self._pack_default(value)
        elif name == "json":
            packed = Packed(_JSON, dump_json(value))
        else:
            packed = Packed(_USER, self._pack_user(value, name), user=name)
        if len(packed.raw) > self.max_value_bytes:
            raise ValueTooLarge(
                f"a value of type {type(value).__qualname__} has {len(packed.raw)} bytes, more than max_value_bytes "
                f"({self.max_value_bytes}); store a part of it, or raise the limit"
            )
        return packed

    def pack_at_once(self, value: Any) -> tuple[int, bytes] | None:
        """Return serialiser and bytes of what the default serialiser keeps by itself; None for the rest: ask ``pack``."""
        kind = type(value)
        if not self._is_quick:
            return None
        if kind is bytes:
            raw, serializer = value, _BYTES
        elif kind is int and -_MAX_INT <= value < _MAX_INT:
            raw, serializer = b"%d" % value, _INT
        elif kind in self._book.by_type:
            return None
        else:
            try:
                raw, serializer = self._packer.pack_quick(value), _MSGPACK
            except TypeError:
                return None
            if 0xC4 in raw or 0xC5 in raw or 0xC6 in raw:  # bytes, or what would come back as bytes
                return None
        return (serializer, raw) if len(raw) <= self.max_value_bytes else None

    def unpack(self, payload: Payload) -> Any:
        """Return the value of an opened frame; Refused where it does not decode or nothing here decodes it."""
        load = self.loader(payload)
        if payload.serializer == _USER:
            try:
                return load(payload.raw)
            except Exception:  # noqa: BLE001 - the port to foreign code, whose errors are not ours to list
                raise Refused(Refusal.VALUE) from None
        try:
            return load(payload.raw)
        except UNDECODABLE:
            raise Refused(Refusal.VALUE) from None

    def loader(self, payload: Payload) -> Thaw:
        """Return the function that makes the value of ``payload.raw``, as fast as these bytes allow."""
        kind = payload.serializer
        if kind == _MSGPACK:
            return self._packer.loader(payload.raw)
        if kind == _BYTES:
            return bytes
        if kind == _INT:
            return _load_int
        if kind == _JSON:
            return load_json
        if kind == _PICKLE and self._pickle is not None:
            return self._pickle.load
        if kind == _USER and payload.user is not None:
            user = self._users.get(payload.user)
            if user is not None:
                return user.deserialize
        raise Refused(Refusal.SERIALIZER)

    def _pack_default(self, value: Any) -> Packed:
        kind = type(value)
        if kind is bytes:
            return Packed(_BYTES, value)
        if kind is int and -_MAX_INT <= value < _MAX_INT:
            return Packed(_INT, b"%d" % value)
        try:
            raw, schema = self._packer.dump(value)
        except ValueNotKept:
            if self._pickle is None:
                raise
            return Packed(_PICKLE, self._pickle.dump(value))
        return Packed(_MSGPACK, raw, schema=schema)

    @staticmethod
    def _pack_nothing(_value: Any) -> bytes:
        raise TypeError

    def _pack_user(self, value: Any, name: str) -> bytes:
        user = self._user(name)
        try:
            raw = user.serialize(value)
        except Exception as error:
            raise ValueNotKept(
                f"the serializer {name!r} does not take a value of type {type(value).__qualname__}: {type(error).__name__}"
            ) from error
        if not isinstance(raw, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]  # nor are serializers
            raise ValueNotKept(f"the serializer {name!r} returned {type(raw).__qualname__} instead of bytes; correct its serialize()")
        return raw


def _load_int(raw: bytes) -> int:
    value = int(raw)
    if b"%d" % value != raw:
        raise ValueError("not the plain form of an integer")
    return value
