"""Turn what pydantic found into one ConfigInvalid that lists every problem: where, what was expected, what was given."""

import difflib
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from caching_core.errors import ConfigInvalid

CONTRADICTIONS: Final = "contradictions"
Names = Mapping[tuple[str, ...], str]

_SHOWN: Final = 80
_PRINTABLE: Final = 2**63
_EXPECTED: Final = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "int_type": "a whole number",
    "less_than_equal": "at most {le}",
    "model_type": "a mapping",
    "path_type": "a path",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} characters",
    "string_type": "text",
    "too_long": "at most {max_length} items",
    "tuple_type": "a list",
}
_CHOICES: Final = frozenset({"literal_error", "enum"})
_LIMITS: Final = frozenset({"greater_than", "greater_than_equal", "less_than_equal", "finite_number"})


def invalid(error: ValidationError | None, model: type[BaseModel], names: Names, problems: Iterable[str] = ()) -> ConfigInvalid:
    """Return the error to raise; ``names`` says under which name a setting was given."""
    lines = list(problems)
    # The input is asked for to name its type; only numbers and wrong choices are ever shown.
    for found in error.errors(include_url=False) if error is not None else ():
        lines += _lines(found, model, names)
    lines = list(dict.fromkeys(lines))
    text = lines[0] if len(lines) == 1 else "".join(f"\n  - {line}" for line in lines)
    count = "" if len(lines) == 1 else f" in {len(lines)} places"
    return ConfigInvalid(f"the configuration is invalid{count}: {text}")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that ``name`` most likely meant."""
    found = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    return found[0] if found else None


def unknown(name: str, meant: str | None) -> str:
    """Return the sentence about a setting that does not exist."""
    hint = f"; did you mean {meant}?" if meant else "; `caching_core.config.settings()` lists what there is"
    return f"{shown(name)}: unknown setting{hint}"


def shown(text: str) -> str:
    """Return a name that came from outside so that it can stand in a message: ASCII, escaped, cut."""
    escaped = ascii(text)[1:-1]
    return escaped if len(escaped) <= _SHOWN else f"{escaped[:_SHOWN]}…+{len(escaped) - _SHOWN}"


def _lines(found: Any, model: type[BaseModel], names: Names) -> list[str]:  # Any: pydantic's ErrorDetails is a loose dict
    context: dict[str, Any] = found.get("ctx") or {}  # Any: whatever the failed check tells
    if found["type"] == CONTRADICTIONS:
        return list(context["problems"])
    path, fields = _path(found["loc"], model)
    if found["type"] == "extra_forbidden":
        meant = nearest(path[-1], fields)
        return [unknown(_named(path, names), meant and ".".join((*path[:-1], meant)))]
    return [f"{_named(path, names)}: {_expectation(found, context)}"]


def _expectation(found: Any, context: Mapping[str, Any]) -> str:
    kind, given = found["type"], found["input"]
    if kind == "missing":
        return "required, and not given"
    if kind == "value_error":
        return str(context["error"])
    if kind in _CHOICES:
        return f"expected {context['expected']}{_choice(given, context['expected'])}"
    expected = _EXPECTED.get(kind)
    what = f"expected {expected.format(**context)}" if expected is not None else "not of the expected form"
    if kind in _LIMITS and isinstance(given, int | float):
        # Python refuses to print an integer of very many digits.
        return f"{what}, got {given!r}" if not abs(given) >= _PRINTABLE else what
    return what if kind.startswith(("string_too", "too_")) else f"{what}, got {type(given).__name__}"


def _choice(given: object, expected: str) -> str:
    if not isinstance(given, str):
        return f", got {type(given).__name__}"
    meant = nearest(given, expected.replace("'", "").replace(" or ", ", ").split(", "))
    return f"; did you mean {meant!r}?" if meant else ""


def _named(path: Sequence[str], names: Names) -> str:
    dotted = ".".join(shown(part) for part in path)
    for length in range(len(path), 0, -1):
        given = names.get(tuple(path[:length]))
        if given is not None:
            rest = "".join(_step(part) for part in path[length:])
            return given + rest if given + rest == dotted else f"{shown(given)}{rest} ({dotted})"
    return dotted or "configuration"


def _step(part: str) -> str:
    if part.isidentifier():
        return f".{shown(part)}"
    return f"[{part}]" if part.isdecimal() else f"['{shown(part)}']"


def _path(location: Sequence[int | str], model: type[BaseModel]) -> tuple[list[str], list[str]]:
    """Follow a location through the models, leaving out pydantic's own marks; return the path and the last model's fields."""
    path: list[str] = []
    here: object = model
    fields = list(model.model_fields)
    for part in location:
        if isinstance(here, type) and issubclass(here, BaseModel):
            fields = list(here.model_fields)
            path.append(str(part))
            field = here.model_fields.get(str(part))
            here = field.annotation if field is not None else None
            here = _stripped(here)
        elif get_origin(here) is dict:
            if part == "[key]":
                continue
            path.append(str(part))
            here = _stripped(get_args(here)[1])
        elif get_origin(here) is tuple:
            path.append(str(part))
            here = _stripped(get_args(here)[0])
    return path, fields


def _stripped(annotation: object) -> object:
    """Return the type below ``Annotated`` and ``| None``."""
    while get_origin(annotation) in (Annotated, Union, types.UnionType):
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
            continue
        rest = [option for option in get_args(annotation) if option is not type(None)]
        annotation = rest[0]
    return annotation
