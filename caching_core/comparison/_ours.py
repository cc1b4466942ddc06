"""Our own cache as the suites open it: blocking, in a workspace of its own, sealed as by default."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from caching_core.assembly import acquire, release
from caching_core.insight import CacheStats
from caching_core.sync import SyncCacheManager


@dataclass(frozen=True, slots=True)
class Ours:
    """A started manager's bound methods; ``fill`` loads a key, value and tag ("" for none)."""

    get: Callable[[str], object]
    put: Callable[[str, object], object]
    invalidate_tag: Callable[[str], object]
    fill: Callable[[str, object, str], object]
    stats: Callable[[], CacheStats]
    forget: Callable[[], None]  # empties L1, and nothing else

    def confirm(self, values: Mapping[str, object]) -> None:
        """Read each key twice; a value that is not there, or another, stops the comparison."""
        for _ in range(2):
            assert all(self.get(name) == value for name, value in values.items()), "the cache under test does not hold what was put"

    def confirm_only_l1(self, before: CacheStats) -> None:
        """Stop the comparison unless every get since ``before`` was an L1 hit."""
        after = self.stats()
        assert after.hits_l2 == before.hits_l2, "some gets went to disk"
        assert after.misses == before.misses, "some gets were misses"

    def confirm_no_l1(self, before: CacheStats) -> None:
        """Stop the comparison unless no get since ``before`` was answered by L1 or missed."""
        after = self.stats()
        assert after.hits_l1 == before.hits_l1, "some gets were answered by L1"
        assert after.misses == before.misses, "some gets were misses"


@contextmanager
def open_ours(directory: Path, **settings: object) -> Generator[Ours]:
    """Start a manager in ``directory`` and yield its methods; values live for five minutes, as the peers' do."""
    with SyncCacheManager({"directory": str(directory), "namespace": "bench", "default_ttl": 300, **settings}) as manager:
        handle = manager.tenant("main")
        instance = acquire(manager.config)
        memory = instance.memory
        release(instance)
        yield Ours(
            handle.get,
            handle.set,
            handle.invalidate_tags,
            # A load, not a set: sets of other keys may end an entry whose stamp cell they share, loads never do.
            lambda key, value, tag: handle.get_or_set(key, lambda: value, tags=(tag,) if tag else ()),
            manager.stats,
            memory.clear if memory is not None else _nothing,
        )


def _nothing() -> None:
    """Empty the L1 of a cache that has none."""
