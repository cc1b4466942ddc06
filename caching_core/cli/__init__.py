"""The command line: ``caching …``."""

from caching_core.cli._main import main

__all__ = ["main"]
