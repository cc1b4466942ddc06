"""The command line: ``caching …``."""

from caching_core.cli._main import main, run_bound

__all__ = ["main", "run_bound"]
