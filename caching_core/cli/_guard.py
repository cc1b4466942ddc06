"""Turn the cache's errors into a message and an exit code."""

import functools
from collections.abc import Callable
from typing import ParamSpec

import typer

from caching_core.bench import TraceInvalid
from caching_core.cli._operator import operator
from caching_core.cli._output import FINDING, USAGE
from caching_core.errors import CacheError, ConfigInvalid, KeyInvalid, NotSupported, TenantUnknown, TTLInvalid, ValueNotKept, ValueTooLarge
from caching_core.tenancy import use_actor

P = ParamSpec("P")

_WRONG_USAGE = (ConfigInvalid, KeyInvalid, NotSupported, TTLInvalid, TenantUnknown, TraceInvalid, ValueNotKept, ValueTooLarge)


def guarded(command: Callable[P, int]) -> Callable[P, None]:
    """Return the command under its operator's name, with its returned exit code raised, and errors told in one line on stderr."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with use_actor(operator()):
                code = command(*args, **kwargs)
        except CacheError as error:
            typer.echo(f"caching: {error}", err=True)
            code = USAGE if isinstance(error, _WRONG_USAGE) else FINDING
        except BrokenPipeError:  # who reads the output has gone; typer knows how to leave then
            raise
        except OSError as error:
            typer.echo(f"caching: {error.strerror or error}: {error.filename}" if error.filename else f"caching: {error}", err=True)
            code = FINDING
        raise typer.Exit(code)

    return run
