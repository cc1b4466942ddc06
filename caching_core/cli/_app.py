"""The tree of commands."""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from caching_core.cli._audit import audit_tail, audit_verify
from caching_core.cli._benchmark import benchmark
from caching_core.cli._doctor import doctor
from caching_core.cli._entries import delete, get, inspect, set_value
from caching_core.cli._guard import guarded
from caching_core.cli._invalidation import clear, invalidate
from caching_core.cli._keystore import keystore_new_key
from caching_core.cli._replay import replay
from caching_core.cli._stats import stats

_COMMANDS: tuple[tuple[str, Callable[..., int]], ...] = (
    ("get", get),
    ("set", set_value),
    ("delete", delete),
    ("inspect", inspect),
    ("invalidate", invalidate),
    ("clear", clear),
    ("stats", stats),
    ("doctor", doctor),
    ("replay", replay),
    ("benchmark", benchmark),
)
_AUDIT_COMMANDS: tuple[tuple[str, Callable[..., int]], ...] = (("verify", audit_verify), ("tail", audit_tail))
_KEYSTORE_COMMANDS: tuple[tuple[str, Callable[..., int]], ...] = (("new-key", keystore_new_key),)


def build_app() -> typer.Typer:
    """Return the command line, every command under its name."""
    # Pretty tracebacks would print local variables, and with them values and keys.
    app = typer.Typer(
        name="caching",
        help="Look at a cache, change it, prove that it works, measure it. Exit codes: 0 fine, 1 a finding, 2 wrong usage.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name, command in _COMMANDS:
        app.command(name)(guarded(command))
    audit = typer.Typer(help="Prove and read the audit log.", no_args_is_help=True)
    for name, command in _AUDIT_COMMANDS:
        audit.command(name)(guarded(command))
    app.add_typer(audit, name="audit")
    keystore = typer.Typer(help="Make keys.", no_args_is_help=True)
    for name, command in _KEYSTORE_COMMANDS:
        keystore.command(name)(guarded(command))
    app.add_typer(keystore, name="keystore")
    return app


def _tell_version(asked: bool) -> None:  # noqa: FBT001 -- typer calls it so
    if not asked:
        return
    try:
        release = version("caching-suite")
    except PackageNotFoundError:
        release = "of a checkout that is not installed"
    typer.echo(f"caching-suite {release}")
    raise typer.Exit


def _root(
    *,
    _version: Annotated[bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the release and exit.")] = False,
) -> None:
    """Take the options that stand before a command."""
