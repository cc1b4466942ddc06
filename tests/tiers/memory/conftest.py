"""Entries as the engine makes them, and the read that a handle does."""

from collections.abc import Callable

import pytest

from caching_core.tiers.memory import Entry, Partition

ALWAYS = 1e18


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
