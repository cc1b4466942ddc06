"""The entry point of the ``caching`` command."""

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 fine, 1 a finding, 2 wrong usage."""
    # typer and rich are loaded here, so that importing the entry point costs nothing.
    from caching_core.cli._app import build_app

    build_app()(args=arguments, prog_name="caching")
