"""The update workloads (``updates.py``, ``hindsight.py``), which stand in a folder of their own and are imported from there."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from caching_core.errors import CacheError


class WorkloadsMissing(CacheError):
    """The folder with the workloads is not there, or they cannot be imported."""


class Score(Protocol):
    """Fractions of all reads."""

    hit: float
    stale: float


class Workloads:
    """The two modules: generators and scorer, and what the best fixed lifetimes would have reached."""

    def __init__(self, folder: Path) -> None:
        """Import from ``folder``. Raises WorkloadsMissing."""
        if not (folder / "updates.py").is_file():
            raise WorkloadsMissing(f"no updates.py in {folder}; name its folder with --workloads")
        sys.path.insert(0, str(folder))  # the second imports the first by its plain name
        try:
            # Any: modules that no type checker sees
            self._updates: Any = import_module("updates")
            self._hindsight: Any = import_module("hindsight")
        except ImportError as error:
            raise WorkloadsMissing(f"the workloads in {folder} cannot be imported: {error}; pip install numpy") from None
        finally:
            sys.path.remove(str(folder))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the workloads."""
        return tuple(self._updates.WORKLOADS)

    @property
    def longest_ttl(self) -> float:
        """Return the seconds for which a policy may keep a value at most."""
        return float(self._updates.TTL_MAX)

    def trace(self, workload: str, seed: int, *, reads: int, keys: int) -> Any:
        """Return a day of reads and changes."""
        return self._updates.generate(workload, seed, reads, keys)

    def replay(self, trace: Any, policy: object) -> Score:
        """Return what a policy reaches on a trace."""
        score: Score = self._updates.replay(trace, policy)
        return score

    def best_fixed(self, trace: Any, stale: float) -> Score:
        """Return what the best constant lifetime per data type, chosen in hindsight, reaches at this share of stale reads."""
        index = self._hindsight.Index(trace)
        numbers = [number % len(self._updates.DATA_TYPES) for number in range(len(trace.templates))]
        groups = import_module("numpy").array(numbers)
        score: Score = self._hindsight.best_fixed(self._hindsight.fixed_curves(index), groups, stale, len(trace.time))
        return score
