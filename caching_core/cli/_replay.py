"""Command replay: recorded accesses through L1 and the sealed disk tier."""

import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, get_args

import typer

from caching_core.assembly import acquire, release
from caching_core.bench import MemoryTrend, MemoryWatch, Replay, Replayed, Residency, Trace, opaque_values
from caching_core.cli._ending import ending_cleanly
from caching_core.cli._options import Json
from caching_core.cli._output import FINDING, FINE, Output
from caching_core.cli._replay_view import ReplayView, in_mib
from caching_core.config import L1Config
from caching_core.errors import ConfigInvalid
from caching_core.insight import CacheStats
from caching_core.sync import SyncCacheManager
from caching_core.tiers.memory import MemoryTier

# What an entry may take beside its value when only a number of entries is given as the bound.
_ROOM_PER_ENTRY = 4096


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A *.keys or *.csv trace, plain or .xz.", show_default=False)],
    *,
    l1_entries: Annotated[int | None, typer.Option("--l1-entries", min=1, help="Entries that L1 may hold.", show_default=False)] = None,
    l1_bytes: Annotated[int | None, typer.Option("--l1-bytes", min=1, help="Bytes that L1 may hold.", show_default=False)] = None,
    policy: Annotated[str, typer.Option(help="s3fifo, lru, lfu, wtinylfu or adaptive.")] = "s3fifo",
    value_bytes: Annotated[int, typer.Option(min=1, max=2**24, help="Size of each value.")] = 200,
    limit: Annotated[int | None, typer.Option(min=1, help="Requests at most.", show_default="all")] = None,
    directory: Annotated[Path | None, typer.Option("--directory", "-d", help="Keep the cache here.", show_default="temporary")] = None,
    memory_only: Annotated[bool, typer.Option("--memory-only", help="L1 alone, no disk tier.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Check bounds and value after each request, and memory.")] = False,
    as_json: Json = False,
) -> int:
    """Send each request of a recorded trace through the cache as a get_or_set; show hits, times and sizes."""
    output = Output(as_json=as_json)
    settings = _settings(policy=policy, entries=l1_entries, held_bytes=l1_bytes, value_bytes=value_bytes, memory_only=memory_only)
    with (
        ending_cleanly(),
        Trace(file) as trace,
        _workspace(directory) as place,
        SyncCacheManager({**settings, "directory": str(place)}) as manager,
        _residency(manager) as residency,
    ):
        before = manager.stats()
        view = ReplayView(output.notes, trace, stats=manager.stats, limit=limit)
        with view.shown() as observe:
            run = Replay(
                manager.tenant("main", namespace="replay"),
                opaque_values(value_bytes),
                residency=residency if check else None,
                observe=None if as_json else observe,
                memory=MemoryWatch(),
            )
            result = run.run(trace.requests(limit=limit))
        figures = _figures(result, before, manager.stats())
    findings = _findings(result) if check else []
    document = {"trace": file.name, "policy": policy, **figures, **({"checked": True, "findings": findings} if check else {})}
    output.pairs(f"Replay of {file.name}", document)
    return FINDING if findings else FINE


def _settings(*, policy: str, entries: int | None, held_bytes: int | None, value_bytes: int, memory_only: bool) -> dict[str, object]:
    known = get_args(L1Config.model_fields["policy"].annotation)
    if policy not in known:
        raise ConfigInvalid(f"--policy: unknown policy {policy!r}; choose one of: {', '.join(known)}")
    settings: dict[str, object] = {"l1_policy": policy, "default_ttl": None, "metrics_port": None}
    if entries is not None:
        settings["l1_max_size"] = entries
        settings["l1_max_bytes"] = min(entries * (value_bytes + _ROOM_PER_ENTRY), 2**50)
    elif held_bytes is not None:
        settings["l1_max_size"] = held_bytes  # no entry is smaller than a byte: the bytes alone bind
    if held_bytes is not None:
        settings["l1_max_bytes"] = held_bytes
    if memory_only:
        settings["cache_levels"] = 1
    return settings


@contextmanager
def _workspace(directory: Path | None) -> Generator[Path]:
    if directory is not None:
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="caching-replay-", ignore_cleanup_errors=True) as place:
        yield Path(place)


@contextmanager
def _residency(manager: SyncCacheManager) -> Generator[Callable[[], Residency] | None]:
    # L1 itself is asked: the manager's stats also count the store's rows, a thousand times the cost.
    instance = acquire(manager.config)
    try:
        yield None if instance.memory is None else partial(_look, instance.memory)
    finally:
        release(instance)


def _look(memory: MemoryTier) -> Residency:
    usage = memory.usage()
    return Residency(usage.entries, usage.bytes + usage.ghost_bytes, usage.max_entries, usage.max_bytes)


def _figures(result: Replayed, before: CacheStats, after: CacheStats) -> dict[str, object]:
    asked = result.requests
    in_l1 = after.hits_l1 - before.hits_l1
    in_l2 = after.hits_l2 - before.hits_l2
    return {
        "requests": asked,
        "hits_l1": in_l1,
        "hits_l2": in_l2,
        "misses": after.misses - before.misses,
        "loads": result.loads,
        "hit_ratio_l1": round(100 * in_l1 / asked, 3),
        "hit_ratio": round(100 * (asked - result.loads) / asked, 3),
        "median_us": round(result.median_us, 3),
        "mean_us": round(result.mean_us, 3),
        "p99_us": round(result.p99_us, 3),
        "seconds": round(result.seconds, 3),
        "l1_entries": after.l1_entries,
        "l1_max_entries": after.l1_max_entries,
        "l1_bytes": after.l1_bytes,
        "l1_max_bytes": after.l1_max_bytes,
        "l2_entries": after.l2_entries,
        "l2_bytes": after.l2_bytes,
        **_memory(result.memory),
    }


def _memory(trend: MemoryTrend | None) -> dict[str, object]:
    if trend is None:
        return {}
    return {"memory_bytes": trend.late_bytes, "memory_growth_bytes": trend.growth_bytes, "memory_flat": trend.is_flat}


def _findings(result: Replayed) -> list[str]:
    findings: list[str] = []
    if result.over_capacity:
        findings.append(f"L1 was over its bounds after {result.over_capacity:,} requests, first after request {result.first_over:,}")
    if result.wrong:
        findings.append(f"{result.wrong:,} requests returned another value than was loaded")
    if result.memory is not None and not result.memory.is_flat:
        findings.append(f"memory grew by {in_mib(result.memory.growth_bytes)} from the second to the last quarter")
    return findings
