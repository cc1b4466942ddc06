"""Commands as the bytes that go to a server."""

# The stub of hiredis leaves a part of its types out.
# pyright: reportUnknownVariableType=false

from typing import Any, Final, cast

from hiredis import pack_command

Argument = bytes | str | int

_pack: Final[Any] = pack_command  # Any: its stub speaks of tuples of one


def command(*arguments: Argument) -> bytes:
    """Return one command, packed."""
    return cast("bytes", _pack(arguments))
