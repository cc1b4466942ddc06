"""The entry point of the ``caching`` command, and of programs that lend it their cache."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caching_core.config import CacheConfig


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 fine, 1 a finding, 2 wrong usage."""
    # typer and rich are loaded here, so that importing the entry point costs nothing.
    from caching_core.cli._app import build_app

    build_app()(args=arguments, prog_name="caching")


def run_bound(arguments: Sequence[str], *, config: "CacheConfig", namespace: str, name: str) -> None:
    """Run the command line on a cache that is configured already, and exit as ``main`` does.

    Commands work on ``namespace`` unless their options say otherwise; ``name`` is what the help calls the program.
    """
    from caching_core.cli._app import build_app
    from caching_core.cli._session import Bound, bound

    token = bound.set(Bound(config, namespace))
    try:
        build_app()(args=list(arguments), prog_name=name)
    finally:
        bound.reset(token)
