"""Entries as the engine makes them, and the read that a handle does."""

from collections.abc import Callable

import pytest

from caching_core.tiers.memory import Entry, MemoryTier, Partition

ALWAYS = 1e18


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make_tier(
    policy: str = "s3fifo", *, max_entries: int = 100, max_bytes: int = 100_000, now: Callable[[], float] | None = None
) -> MemoryTier:
    """Make a small tier whose clock stands still."""
    return MemoryTier(max_entries=max_entries, max_bytes=max_bytes, policy=policy, now=now or Clock())


def make_entry(value: object = "v", *, size: int = 10, until: float = ALWAYS, extra: object = None) -> Entry:
    """Make an entry with every field that the tier reads."""
    entry = Entry()
    entry.value = value
    entry.thaw = None
    entry.until = until
    entry.size = size
    entry.extra = extra
    return entry


def read(partition: Partition, key: str) -> Entry | None:
    """Do what a handle does on a hit."""
    try:
        entry = partition.entries[key]
    except KeyError:
        return None
    entry.n += 1
    return entry


@pytest.fixture(scope="session", name="make_entry")
def _make_entry() -> Callable[..., Entry]:
    return make_entry


@pytest.fixture(scope="session", name="read")
def _read() -> Callable[[Partition, str], Entry | None]:
    return read


@pytest.fixture(scope="session", name="make_tier")
def _make_tier() -> Callable[..., MemoryTier]:
    return make_tier


@pytest.fixture
def clock() -> Clock:
    return Clock()
