"""The process of suite memory: bytes per entry by tracemalloc; run as a module, the task as JSON on its input."""

import gc
import json
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from caching_core.bench import text_value
from caching_core.comparison._memory_peers import MEMORY_PEERS
from caching_core.comparison._ours import open_ours
from caching_core.comparison._peer import Opened

_WARM = 100


def bytes_per_entry(entries: int, fill: Callable[[list[str], list[str]], Opened]) -> float:
    """Return what ``entries`` entries cost beyond their keys and values, fixed tables of the cache included."""
    names = [f"key:{number}" for number in range(entries)]
    values = [text_value(number) for number in range(entries)]
    fill(names[:_WARM], values[:_WARM]).close()  # what is imported and made once per process is no entry's cost
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    opened = fill(names, values)
    gc.collect()
    spent = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert all(opened.get(name) is not None for name in names), "an entry was evicted while measuring"
    opened.close()
    return spent / entries


def fill_ours(directory: Path) -> Callable[[list[str], list[str]], Opened]:
    """Return how an L1 with a bound just above the number of entries is filled."""

    def fill(names: list[str], values: list[str]) -> Opened:
        stack = ExitStack()
        ours = stack.enter_context(open_ours(directory, cache_levels=1, l1_max_size=len(names) + 1, l1_max_bytes=2**32))
        for name, value in zip(names, values, strict=True):
            ours.fill(name, value, "")
        return Opened(ours.get, ours.put, stack.close)

    return fill


def fill_peer(name: str) -> Callable[[list[str], list[str]], Opened]:
    """Return how the named peer is filled."""
    peer = next(peer for peer in MEMORY_PEERS if peer.name == name)

    def fill(names: list[str], values: list[str]) -> Opened:
        opened = peer.open(Path())
        for key, value in zip(names, values, strict=True):
            opened.put(key, value)
        return opened

    return fill


if __name__ == "__main__":
    task = json.load(sys.stdin)
    filler = fill_ours(Path(task["directory"])) if task["subject"] == "ours" else fill_peer(task["subject"])
    sys.stdout.write(json.dumps({"bytes": bytes_per_entry(task["entries"], filler)}) + "\n")
