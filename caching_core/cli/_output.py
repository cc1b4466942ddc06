"""Print results: tables and progress on a terminal, plain lines elsewhere, one JSON document with ``--json``."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import cast

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

FINE = 0
FINDING = 1
USAGE = 2


class Output:
    """Where a command's result goes. Results go to stdout; progress, notes and errors to stderr."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(highlight=False)
        self.notes = Console(stderr=True, highlight=False)

    def data(self, document: object) -> None:
        """Print the JSON document of a command that was asked for JSON."""
        typer.echo(json.dumps(json_ready(document), ensure_ascii=False, indent=2, allow_nan=False))

    def line(self, text: str) -> None:
        """Print a line of the result, as it is."""
        if not self.as_json:
            typer.echo(text)

    def note(self, text: str) -> None:
        """Tell something beside the result."""
        self.notes.print(escape(text), soft_wrap=True)

    def pairs(self, title: str, figures: Mapping[str, object]) -> None:
        """Print names and values: a table, ``name: value`` lines, or the JSON object."""
        if self.as_json:
            self.data(figures)
        elif self.console.is_terminal:
            table = Table(title=title, title_justify="left", show_header=False)
            for name, value in figures.items():
                table.add_row(escape(name.replace("_", " ")), escape(shown(value)))
            self.console.print(table)
        else:
            for name, value in figures.items():
                typer.echo(f"{name}: {shown(value)}")

    def table(self, title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table on a terminal, tab-separated lines elsewhere; nothing with ``--json``."""
        if self.as_json:
            return
        if not self.console.is_terminal:
            for row in (headings, *rows):
                typer.echo("\t".join(row))
            return
        table = Table(*headings, title=title, title_justify="left")
        for row in rows:
            table.add_row(*map(escape, row))
        self.console.print(table)


def shown(value: object) -> str:
    """Return a value as a person reads it: text as it is, the rest as JSON where it can be."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    if isinstance(value, int):
        return f"{value:,}"
    return json.dumps(json_ready(value), ensure_ascii=False)


def json_ready(value: object) -> object:
    """Return the nearest JSON form: bytes as base64 with a mark, what JSON has no form for as its repr."""
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, bytes | bytearray):
        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, Mapping):
        return {str(name): json_ready(item) for name, item in cast("Mapping[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [json_ready(item) for item in cast("Sequence[object]", value)]
    if isinstance(value, set | frozenset):
        return sorted((json_ready(item) for item in cast("frozenset[object]", value)), key=repr)
    return repr(value)
