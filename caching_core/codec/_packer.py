"""The default serialiser: msgpack with extension types, quick where a value is plain, careful where it is not."""

# Values are the caller's and of any type, and so is what type() says of them.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from caching_core.codec._arrays import unpack_array
from caching_core.codec._classes import ClassBook
from caching_core.codec._exact_encoder import DEEPEST_LAYER, FREE_LAYERS, LARGEST_BOUND, ExactEncoder, has_buffers
from caching_core.codec._leaf_types import (
    CLASS,
    CONTAINER_TAGS,
    FROZENSET,
    LEAF_PACKERS,
    LEAF_UNPACKERS,
    MAP,
    NDARRAY,
    SET,
    TUPLE,
)
from caching_core.codec._wire import Default, Hook, Wire, has_bin, has_ext, nesting_bound

_QUICK_LEAVES: Final = {kind: leaf for kind, leaf in LEAF_PACKERS.items() if kind is not bytearray}


_LONGEST_LOOKED_AT: Final = 512


class MsgpackPacker:
    """Packs values exactly, or raises ValueNotKept. Thread-safe.

    Objects of the packing library itself (``ormsgpack.Ext``, ``ormsgpack.Fragment``) are by definition
    the bytes that they hold, and come back as what those stand for.
    """

    __slots__ = ("_book", "_default", "_wire", "hook", "load", "load_plain", "pack_quick")

    def __init__(self, wire: Wire, book: ClassBook) -> None:
        """``load`` decodes every payload; ``load_plain`` one without ext types, somewhat faster."""
        self._wire = wire
        self._book = book
        self._default = _defaults(wire)
        # Packs what takes no care, else raises TypeError; what holds bytes may be something else, and is to be looked at.
        self.pack_quick: Callable[[Any], bytes] = partial(wire.pack, default=self._default)
        self.load_plain: Callable[[bytes], Any] = wire.unpack
        self.hook = _hooks(wire, book)
        self.load: Callable[[bytes], Any] = partial(wire.unpack, ext_hook=self.hook)

    def dump(self, value: Any) -> tuple[bytes, dict[str, bytes] | None]:
        """Return the bytes, and the fingerprints of the registered classes in them if there are any."""
        wire = self._wire
        if wire.is_exact and type(value) not in self._book.by_type:
            try:
                data = wire.pack(value, self._default)
            except TypeError:
                pass  # something that the quick way does not know: the careful way keeps it or says why not
            else:
                if not (has_bin(data) and has_buffers(value)):
                    return data, None
        encoder = ExactEncoder(wire, self._book)
        return encoder.encode(value), encoder.used or None

    def loader(self, data: bytes) -> Callable[[bytes], Any]:
        """Return the fastest function that decodes exactly these bytes."""
        # The look costs eight passes over the bytes, and saves a keyword argument.
        return self.load if len(data) > _LONGEST_LOOKED_AT or has_ext(data) else self.load_plain


def _defaults(wire: Wire) -> Default:
    """Return the quick packer of ext types; it gives up below ``FREE_LAYERS`` of them."""

    def refuse(_value: Any) -> Any:
        raise TypeError

    def above(below: Default) -> Default:
        pack, ext = wire.pack, wire.ext

        def default(value: Any) -> Any:
            kind = type(value)
            leaf = _QUICK_LEAVES.get(kind)
            if leaf is not None:
                return ext(leaf[0], leaf[1](value))
            return ext(CONTAINER_TAGS[kind], pack(list(value), below))  # KeyError becomes the library's TypeError

        return default

    found: Default = refuse
    for _ in range(FREE_LAYERS):
        found = above(found)
    return found


def _hooks(wire: Wire, book: ClassBook) -> Hook:
    """Return the decoder of ext types: a chain as long as types may nest, which keeps no state."""

    def refuse(_tag: int, _data: bytes) -> Any:
        raise ValueError("too many layers")

    hook: Hook = refuse
    for layer in range(DEEPEST_LAYER, -1, -1):
        hook = _hook(wire, book, hook, is_free=layer < FREE_LAYERS)
    return hook


def _hook(wire: Wire, book: ClassBook, below: Hook, *, is_free: bool) -> Hook:
    leaves, unpack = LEAF_UNPACKERS, wire.unpack

    def hook(tag: int, data: bytes) -> Any:
        leaf = leaves.get(tag)
        if leaf is not None:
            return leaf(data)
        if tag not in _HOLDERS:
            raise ValueError("unknown ext type")
        if not is_free and nesting_bound(data) > LARGEST_BOUND:
            raise ValueError("nested too deep")
        parts = unpack(data, ext_hook=below)
        if type(parts) is not list:
            raise ValueError("an ext type without its list")
        return _HOLDERS[tag](parts, book)

    return hook


def _tuple(parts: list[Any], _book: ClassBook) -> tuple[Any, ...]:
    return tuple(parts)


def _set(parts: list[Any], _book: ClassBook) -> set[Any]:
    found = set(parts)
    if len(found) != len(parts):
        raise ValueError("a set with an item twice")
    return found


def _frozenset(parts: list[Any], _book: ClassBook) -> frozenset[Any]:
    return frozenset(_set(parts, _book))


def _map(parts: list[Any], _book: ClassBook) -> dict[Any, Any]:
    found = dict(zip(parts[::2], parts[1::2], strict=True))
    if 2 * len(found) != len(parts):
        raise ValueError("a map with a key twice")
    return found


def _object(parts: list[Any], book: ClassBook) -> Any:
    name, dumped = parts
    return book.by_name[name].load(dumped)


def _array(parts: list[Any], _book: ClassBook) -> Any:
    return unpack_array(parts)


_HOLDERS: Final[dict[int, Callable[[list[Any], ClassBook], Any]]] = {
    TUPLE: _tuple,
    SET: _set,
    FROZENSET: _frozenset,
    MAP: _map,
    CLASS: _object,
    NDARRAY: _array,
}
