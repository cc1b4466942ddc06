"""Suite memory: what an L1 entry costs beyond its key and value (F12)."""

from collections.abc import Iterator

from caching_core.bench import Row, Series
from caching_core.comparison._memory_peers import MEMORY_PEERS
from caching_core.comparison._plan import Plan
from caching_core.comparison._process import ask_module

_LIMIT = 1.5
_NOTE = "tracemalloc in a fresh process; ghost and other fixed tables of our L1 included"


def run_memory(plan: Plan) -> Iterator[Row]:
    """Measure bytes per entry at each size; counting allocations is exact, so one round is enough."""
    peer = next(peer for peer in MEMORY_PEERS if peer.name == "cachetools")
    wanted = peer.name in plan.peers
    for entries in plan.overhead_sizes:
        plan.say(f"memory: {entries:,} entries")
        what = f"overhead per L1 entry at {entries:,}"
        ours = _bytes(plan, "ours", entries)
        if not wanted:
            yield Row("-", what, ours, unit="B", note=_NOTE)
            continue
        theirs = _bytes(plan, peer.name, entries) if peer.is_installed else None
        yield Row("F12", what, ours, unit="B", peer=peer.title, theirs=theirs, limit=_LIMIT, note=_NOTE)


def _bytes(plan: Plan, subject: str, entries: int) -> Series:
    task = {"subject": subject, "entries": entries, "directory": str(plan.directory / "overhead")}
    answer = ask_module("caching_core.comparison._overhead", task)
    return Series((float(answer["bytes"]),))
