"""Pickle, for what msgpack does not keep: the one place that reads one, by the list that its writer kept to."""

# Values are the caller's and of any type, and so is what type() says of them.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

import copyreg
import pickle
from collections import ChainMap
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from caching_core.codec._kinds import Refusal, Refused
from caching_core.codec._pickle_list import NotListed, PickleList
from caching_core.errors import ValueNotKept

Mode = Literal["off", "django", "trusted"]

_PROTOCOL: Final = 5
_STACK_GLOBAL: Final = 0x93
_EXTENSIONS: Final = frozenset({0x82, 0x83, 0x84})
_TEXTS: Final = frozenset({"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"})
_SILENT: Final = frozenset({"PROTO", "FRAME"})


class ValueNotPickled(ValueNotKept, pickle.PicklingError):
    """A value that pickle does not take, or that holds what the list does not name; callers of pickle know the second base."""


class PickleSerializer:
    """Pickles and reads pickles by one list. Thread-safe."""

    __slots__ = ("_list",)

    def __init__(self, mode: Literal["django", "trusted"], allow: Sequence[str] = ()) -> None:
        """``trusted`` takes whatever pickle takes; ``django`` a list, to which ``allow`` adds dotted names and patterns."""
        self._list = PickleList(allow, is_open=mode == "trusted")

    def dump(self, value: Any) -> bytes:
        """Return the pickle; ValueNotPickled where there is none, or where this very list would not read it."""
        try:
            raw = _pickled(value)
        except Exception as error:
            raise ValueNotPickled(
                f"a value of type {_name(type(value))} cannot be pickled ({type(error).__name__}); store its data instead"
            ) from error
        if not self._list.is_open and (_STACK_GLOBAL in raw or not _EXTENSIONS.isdisjoint(raw)):
            self._check(value, raw)
        return raw

    def load(self, raw: bytes) -> Any:
        """Return the value. Raises Refused for what the list does not name, and for what does not load."""
        try:
            return _Reader(raw, self._list).load()
        except NotListed:
            raise Refused(Refusal.PICKLE) from None
        except Exception:  # noqa: BLE001 - the port to the classes' own code, whose errors are not ours to list
            raise Refused(Refusal.VALUE) from None

    def _check(self, value: Any, raw: bytes) -> None:
        for module, name in named_in(raw):
            try:
                self._list.find(module, name)
            except NotListed:
                raise ValueNotPickled(
                    f"a value of type {_name(type(value))} is not kept: its pickle names {module}.{name}, which is not on the list; "
                    "add that name to pickle_allow, or set pickle to 'trusted' where every value is your own"
                ) from None
            except (ImportError, AttributeError) as error:
                raise ValueNotPickled(f"{module}.{name} cannot be imported, so no reader would find it") from error


def _pickled(value: Any) -> bytes:
    buffer = BytesIO()
    pickler = pickle.Pickler(buffer, _PROTOCOL)
    table: Any = ChainMap[Any, Any]({ZoneInfo: _reduced_zone}, copyreg.dispatch_table)  # Any: the stubs want a dict of all shapes
    pickler.dispatch_table = table
    pickler.dump(value)
    return buffer.getvalue()


def _reduced_zone(zone: ZoneInfo) -> tuple[type[ZoneInfo], tuple[str]]:
    """Reduce a zone to its name: left to itself it names ``getattr``, which no list can allow."""
    if zone.key is None:  # pyright: ignore[reportUnnecessaryComparison]  # one from a file has no name
        raise pickle.PicklingError("a time zone without a name")
    return ZoneInfo, (zone.key,)


class _Reader(pickle.Unpickler):
    """An unpickler that finds what the list names, and nothing else: the one place where bytes become such objects."""

    def __init__(self, raw: bytes, allowed: PickleList) -> None:
        super().__init__(BytesIO(raw))
        self._find = allowed.find

    def find_class(self, module: str, name: str, /) -> Any:
        """Return a class or function of the list; raises NotListed."""
        return self._find(module, name)


def named_in(raw: bytes) -> Iterator[tuple[str, str]]:
    """Yield what a pickle of our own protocol names, as (module, name); ValueNotKept where that cannot be told."""
    import pickletools  # only a writer with a list needs it

    memo: list[object] = []
    top: object = None
    below: object = None
    argument: Any  # of the type that the opcode has
    for opcode, argument, _ in pickletools.genops(raw):
        kind = opcode.name
        if kind in _SILENT:
            continue
        if kind == "MEMOIZE":
            memo.append(top)
            continue
        if kind == "STACK_GLOBAL":
            yield _both(below, top)
            below, top = None, None
        elif kind in _TEXTS:
            below, top = top, argument
        elif kind in {"BINGET", "LONG_BINGET"}:
            below, top = top, memo[argument]
        elif kind.startswith("EXT"):
            found: Any = copyreg._inverted_registry.get(argument)  # type: ignore[attr-defined]  # noqa: SLF001 -- there is no other way to read it
            yield _both(*(found or (None, None)))
            below, top = None, None
        elif kind in {"GLOBAL", "INST"}:
            yield _both(*argument.split(" ", 1))
            below, top = None, None
        else:
            below, top = top, None


def _both(module: object, name: object) -> tuple[str, str]:
    if not (isinstance(module, str) and isinstance(name, str)):
        raise ValueNotPickled("a pickle names something in a way that cannot be checked; store the value's data instead")
    return module, name


def _name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
