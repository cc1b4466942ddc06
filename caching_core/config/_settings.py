"""All settings as a list, for the documentation and the command line."""

import types
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, EnumType
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from caching_core.config._group import flat_name
from caching_core.config._model import CacheConfig
from caching_core.config._secret import Secret
from caching_core.config._sources import PREFIX, group_type
from caching_core.types import Unset

_WORDS: Final = {bool: "true or false", int: "whole number", float: "number", str: "text", dict: "mapping", tuple: "list", Path: "path"}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its path, its flat key (None: only in its group), its variable, type, default, and what it means."""

    path: str
    flat: str | None
    variable: str
    type: str
    default: str
    meaning: str


def settings() -> tuple[Setting, ...]:
    """Return every setting, group by group."""
    return tuple(_of_model(CacheConfig, ()))


def _of_model(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[Setting]:
    for name, info in model.model_fields.items():
        group = group_type(info.annotation)
        if group is not None:
            yield from _of_model(group, (*above, name))
            continue
        path = (*above, name)
        yield Setting(
            path=".".join(path),
            flat=flat_name(info.json_schema_extra),
            variable=PREFIX + "__".join(path).upper(),
            type=_type(info.annotation),
            default=_default(info),
            meaning=info.description or "",
        )


def _default(info: FieldInfo) -> str:
    value: Any = info.default
    if value is None or value in ((), {}):
        return "unset"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _type(annotation: object) -> str:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _type(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return " or ".join(_type(option) for option in get_args(annotation) if option not in (type(None), Unset))
    if origin is Literal:
        return ", ".join(str(choice) for choice in get_args(annotation))
    if isinstance(annotation, EnumType):
        return ", ".join(str(member.value) for member in cast("type[Enum]", annotation))
    if isinstance(annotation, type) and issubclass(annotation, Secret):
        return "secret text"
    return next((word for kind, word in _WORDS.items() if kind in (origin, annotation)), "text")
