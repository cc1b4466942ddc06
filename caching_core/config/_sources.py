"""Bring the flat keys, the groups and the environment into one mapping of groups."""

import json
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Union, cast, get_args, get_origin

from pydantic import BaseModel

from caching_core.config._group import Group, flat_name
from caching_core.config._report import nearest, shown, unknown
from caching_core.errors import ConfigInvalid

Path = tuple[str, ...]

PREFIX: Final = "CACHING_"
NOT_SETTINGS: Final = frozenset({"CACHING_SHARED", "CACHING_REQUIRE", "CACHING_ENCRYPTION_KEYS"})
"""Variables with our prefix that are no settings: the test-suite's two, and the keys of the ``env`` provider."""

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})


@dataclass(slots=True)
class Collected:
    """What the sources say together: nested settings, the name each came under, and problems found on the way."""

    settings: dict[str, object] = field(default_factory=dict[str, object])
    names: dict[Path, str] = field(default_factory=dict[Path, str])
    problems: tuple[str, ...] = ()


def group_type(annotation: object) -> type[Group] | None:
    """Return the group that a field of this annotation holds, or None."""
    return annotation if isinstance(annotation, type) and issubclass(annotation, Group) else None


def flat_keys(model: type[BaseModel]) -> dict[str, Path]:
    """Return the path that each flat key stands for."""
    found: dict[str, Path] = {}
    for name, info in model.model_fields.items():
        group = group_type(info.annotation)
        if group is not None:
            found |= {flat: (name, *rest) for flat, rest in flat_keys(group).items()}
        elif (flat := flat_name(info.json_schema_extra)) is not None:
            found[flat] = (name,)
    return found


def explicit(group: Group) -> dict[str, object]:
    """Return the settings of a group that were given, nested, as ``build`` takes them."""
    found: dict[str, object] = {}
    for name in type(group).model_fields:
        value = getattr(group, name)
        if name in group.model_fields_set or (isinstance(value, Group) and value.model_fields_set):
            found[name] = explicit(value) if isinstance(value, Group) else value
    return found


def is_switched_off(environ: Mapping[str, str]) -> bool:
    """Return whether ``CACHING_DISABLED`` is on; it beats every other source. Raises ConfigInvalid if it cannot be read."""
    text = environ.get("CACHING_DISABLED", "").strip().lower()
    if text and text not in _TRUE | _FALSE:
        raise ConfigInvalid("CACHING_DISABLED: expected 1 or 0")
    return text in _TRUE


def collect(source: object, environ: Mapping[str, str], model: type[BaseModel]) -> Collected:
    """Merge mapping and environment; the mapping wins, but for ``CACHING_DISABLED``."""
    if not isinstance(source, Mapping):
        raise ConfigInvalid(f"the configuration must be a mapping or a CacheConfig, got {type(source).__name__}")
    flat = flat_keys(model)
    code, outside = _Layer(), _Layer()
    for path, value, name in _of_mapping(cast("Mapping[object, object]", source), model, flat, code.problems):
        code.place(path, value, name)
    for path, value, name in _of_environment(environ, model, flat, outside.problems):
        outside.place(path, value, name)
    if is_switched_off(environ):
        code.values.pop(("disabled",), None)
    merged = Collected(problems=(*code.problems, *outside.problems))
    for layer in (code, outside):
        for path, value in layer.values.items():
            _put(merged, path, value, layer.names[path])
    return merged


def _put(merged: Collected, path: Path, value: object, name: str) -> None:
    if path in merged.names:
        return
    place = merged.settings
    for part in path[:-1]:
        inner = place.setdefault(part, {})
        if not isinstance(inner, dict):  # the group itself was given as something else; that is the error to report
            return
        place = cast("dict[str, object]", inner)
    place[path[-1]] = value
    merged.names[path] = name


class _Layer:
    """The settings of one source, where one setting may stand under two names if both say the same."""

    def __init__(self) -> None:
        self.values: dict[Path, object] = {}
        self.names: dict[Path, str] = {}
        self.problems: list[str] = []

    def place(self, path: Path, value: object, name: str) -> None:
        if path in self.values and not _same(self.values[path], value):
            self.problems.append(f"{shown(self.names[path])} and {shown(name)} are the same setting, and differ; keep one of them")
            return
        self.values[path] = value
        self.names.setdefault(path, name)


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def _plain(value: object) -> object:
    """Return mappings and groups as dicts, which is what the strict models take."""
    if isinstance(value, Group):
        return explicit(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in cast("Mapping[object, object]", value).items()}
    return value


def _of_mapping(  # Any: what comes from outside may have keys that are no text
    source: Mapping[Any, object], model: type[BaseModel], flat: Mapping[str, Path], problems: list[str]
) -> Iterator[tuple[Path, object, str]]:
    for key, value in source.items():
        if not isinstance(key, str):
            problems.append(f"a key of type {type(key).__name__}: the names of settings are text")
            continue
        info = model.model_fields.get(key)
        group = group_type(info.annotation) if info is not None else None
        plain = _plain(value)
        if group is not None and isinstance(plain, dict):
            yield from _of_group(key, cast("dict[object, object]", plain), group, flat, problems)
        elif info is None and key not in flat:
            problems.append(unknown(key, nearest(key, [*flat, *model.model_fields])))
        else:
            yield flat.get(key, (key,)), plain, key


def _of_group(
    name: str, given: Mapping[object, object], group: type[Group], flat: Mapping[str, Path], problems: list[str]
) -> Iterator[tuple[Path, object, str]]:
    # A flat key without its group's name is a likely slip (l1.max_size), so it is known here for the hint.
    tails = {key.removeprefix(f"{name}_"): path for key, path in flat.items() if path[0] == name}
    known = tails | {inner: (name, inner) for inner in group.model_fields}
    for key, value in given.items():
        if key in group.model_fields:
            yield (name, str(key)), value, f"{name}.{key}"
            continue
        meant = nearest(str(key), known)
        problems.append(unknown(f"{name}.{key}", meant and ".".join(known[meant])))


def _of_environment(
    environ: Mapping[str, str], model: type[BaseModel], flat: Mapping[str, Path], problems: list[str]
) -> Iterator[tuple[Path, object, str]]:
    known = {**flat, **{"__".join(path): path for path in _paths(model)}}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS or not text.strip():
            continue
        name = variable[len(PREFIX) :].lower()
        path = known.get(name)
        if path is None:
            meant = nearest(name, known)
            problems.append(unknown(variable, meant and PREFIX + meant.upper()))
            continue
        yield path, read_text(text.strip(), _annotation(model, path)), variable


def _paths(model: type[BaseModel]) -> Iterator[Path]:
    for name, info in model.model_fields.items():
        group = group_type(info.annotation)
        if group is None:
            yield (name,)
        else:
            yield from ((name, inner) for inner in group.model_fields)


def _annotation(model: type[BaseModel], path: Path) -> object:
    info = model.model_fields[path[0]]
    group = group_type(info.annotation)
    return info.annotation if group is None else group.model_fields[path[1]].annotation


def read_text(text: str, annotation: object) -> object:
    """Read a variable's text as what the setting wants; what cannot be read stays text, and fails with its path later."""
    options = set(_options(annotation))
    lower = text.lower()
    if type(None) in options and lower in {"none", "null"}:
        return None
    if bool in options and lower in _TRUE | _FALSE:
        return lower in _TRUE
    for number in (int, float):
        if number in options:
            try:
                return number(text)
            except ValueError:
                continue
    if options & {tuple, dict}:
        return _read_container(text, is_list=tuple in options)
    return text


def _read_container(text: str, *, is_list: bool) -> object:
    if text[0] in "[{":
        try:
            return json.loads(text)
        except ValueError:
            return text
    return [part.strip() for part in text.split(",") if part.strip()] if is_list else text


def _options(annotation: object) -> Iterator[object]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _options(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for option in get_args(annotation):
            yield from _options(option)
    else:
        yield origin or annotation
