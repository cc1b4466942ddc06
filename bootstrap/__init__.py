"""Make a virtual environment with the standard library alone; ./quickstart and ./runtests stand on it."""

from bootstrap._environment import Environment, SetupFailed

__all__ = ["Environment", "SetupFailed"]
