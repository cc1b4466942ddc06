"""Which classes and functions a pickle may name: values of the standard library, what Django rebuilds its own from, and more by setting."""

import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from functools import reduce
from importlib import import_module
from typing import Any, Final


def _named(module: str, names: str) -> Iterable[str]:
    return (f"{module}.{name}" for name in names.split())


# By exact name: data types that only hold what they are given, and the functions that rebuild such.
_EXACT: Final = frozenset(
    {
        *_named("array", "array _array_reconstructor"),
        *_named("builtins", "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple"),
        *_named("collections", "ChainMap Counter OrderedDict UserDict UserList UserString defaultdict deque"),
        *_named("copyreg", "_reconstructor"),
        *_named("datetime", "date datetime time timedelta timezone"),
        *_named("decimal", "Decimal"),
        *_named("django.db.models.base", "model_unpickle"),
        *_named("django.db.models.fields", "_empty _load_field"),
        *_named("django.db.models.utils", "unpickle_named_row"),
        *_named("django.utils.functional", "_lazy_proxy_unpickle unpickle_lazyobject"),
        *_named("django.utils.translation", "_lazy_number_unpickle gettext ngettext npgettext pgettext"),
        *_named("fractions", "Fraction"),
        *_named("http.cookies", "BaseCookie Morsel SimpleCookie"),
        *_named("ipaddress", "IPv4Address IPv4Interface IPv4Network IPv6Address IPv6Interface IPv6Network"),
        *_named("pathlib", "Path PosixPath PurePath PurePosixPath PureWindowsPath"),
        *_named("types", "SimpleNamespace"),
        *_named("uuid", "SafeUUID UUID"),
        *_named("zoneinfo", "ZoneInfo"),
    }
)
# Every class that is defined there; no function.
_CLASSES: Final = (
    "django.db.models.*",
    "django.http.*",
    "django.template.response.*",
    "django.utils.datastructures.*",
    "django.utils.functional.*",
    "django.utils.safestring.*",
    "django.utils.timezone.*",
    "django.utils.tree.*",
)


class NotListed(Exception):
    """A pickle names something that is not on the list; carries the dotted name."""


class PickleList:
    """The list of one configuration, the same for its writer and its reader. Thread-safe."""

    __slots__ = ("_classes", "_exact", "_passed", "is_open")

    def __init__(self, allow: Sequence[str] = (), *, is_open: bool = False) -> None:
        """``allow`` adds dotted names, and patterns with ``*``, which stand for classes only; ``is_open`` lets everything pass."""
        self.is_open = is_open
        self._exact = _EXACT | {name for name in allow if "*" not in name}
        self._classes = (*_CLASSES, *(name for name in allow if "*" in name))
        self._passed: set[tuple[str, str]] = set()

    def find(self, module: str, name: str) -> Any:
        """Return what a pickle names; NotListed where it may not, ImportError or AttributeError where there is no such thing."""
        if self.is_open or (module, name) in self._passed:
            return _resolved(module, name)
        dotted = f"{module}.{name}"
        if dotted not in self._exact and not any(fnmatchcase(dotted, pattern) for pattern in self._classes):
            raise NotListed(dotted)
        found = _resolved(module, name)
        # Under a pattern a class must be at home where it was found: a module also holds what it imports.
        if dotted not in self._exact and not (isinstance(found, type) and (found.__module__, found.__qualname__) == (module, name)):
            raise NotListed(dotted)
        self._passed.add((module, name))
        return found


def _resolved(module: str, name: str) -> Any:
    return reduce(getattr, name.split("."), sys.modules.get(module) or import_module(module))
