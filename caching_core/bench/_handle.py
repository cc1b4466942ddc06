"""The part of a blocking handle that workloads drive, so that they run on any cache shaped like ours."""

from collections.abc import Callable
from typing import Protocol


class BlockingHandle(Protocol):
    """What a workload asks of a cache: a bound handle has it, a dict with five lines has it too."""

    def get(self, key: str, default: object = None, /) -> object:
        """Return the value under ``key``, else ``default``."""

    def set(self, key: str, value: object, /) -> object:
        """Keep ``value`` under ``key``."""

    def get_or_set(self, key: str, loader: Callable[[], object], /) -> object:
        """Return the value under ``key``; on a miss load, keep and return it."""
