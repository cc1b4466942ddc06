"""Hit ratios on public traces equal the reference columns (``traces/REFERENCE.md``)."""

import lzma

import pytest

from caching_core.tiers.memory import MemoryTier

pytestmark = pytest.mark.slow

# trace, entries, S3-FIFO, LRU
CELLS = [
    ("web07", 205, 43.7, 39.2),
    ("web07", 2048, 58.2, 55.7),
    ("lirs_multi3", 75, 15.3, 5.2),
    ("lirs_multi3", 745, 47.7, 35.5),
    ("lirs_loop", 101, 9.0, 0.0),
    ("oltp", 187, 17.7, 13.8),
    ("oltp", 1869, 46.4, 41.6),
    ("oltp", 18688, 67.6, 66.5),
    ("orm_busy", 442, 65.3, 63.9),
    ("orm_busy", 4418, 86.9, 85.8),
]


def _hit_ratio(keys, entries, policy, make_entry, read):
    tier = MemoryTier(max_entries=entries, max_bytes=1 << 40, policy=policy)
    partition = tier.partition("a", "ns")
    hits = 0
    for key in keys:
        if read(partition, key) is not None:
            hits += 1
        else:
            tier.put(partition, key, make_entry())
            assert len(partition.entries) <= entries
    tier.check_invariants()
    assert tier.hits() == hits
    return 100 * hits / len(keys)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell[0]}-{cell[1]}")
def test_hit_ratios_are_those_of_the_reference(cell, shared_dir, make_entry, read):
    trace, entries, s3fifo, lru = cell
    with lzma.open(shared_dir / "traces" / f"{trace}.keys.xz", "rt") as lines:
        keys = lines.read().split()
    assert _hit_ratio(keys, entries, "s3fifo", make_entry, read) == pytest.approx(s3fifo, abs=0.5)
    assert _hit_ratio(keys, entries, "lru", make_entry, read) == pytest.approx(lru, abs=0.1)


def test_the_day_of_an_orm_reaches_what_was_promised(shared_dir, make_entry, read):
    with lzma.open(shared_dir / "traces" / "orm_busy.keys.xz", "rt") as lines:
        keys = lines.read().split()
    assert _hit_ratio(keys, 4418, "s3fifo", make_entry, read) >= 86.5
