import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRACES = Path(os.environ.get("CACHING_SHARED") or ROOT.parent / "shared") / "traces"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not TRACES.is_dir(), reason="the recorded traces are neither beside the checkout nor at CACHING_SHARED"),
]


@pytest.mark.parametrize(
    ("trace", "entries", "policy", "least"),
    [
        # Ratios of the traces' reference table less half a point; the first is the one that is promised.
        ("orm_busy.keys.xz", 4418, "s3fifo", 86.5),
        ("orm_busy.keys.xz", 4418, "lru", 85.3),
        ("nasa_day.csv.xz", 182, "s3fifo", 79.2),
        ("web07.keys.xz", 2048, "s3fifo", 57.7),
        ("cp_vm.csv.xz", 4897, "s3fifo", 23.8),
    ],
)
def test_whole_traces_reach_the_reference(caching, trace, entries, policy, least):
    done = caching("replay", str(TRACES / trace), "--l1-entries", str(entries), "--policy", policy, "--check", "--json", fresh=True)
    assert done.code == 0, done.err or done.out
    assert done.data["hit_ratio_l1"] >= least
    assert done.data["l1_entries"] <= entries
    assert done.data["memory_flat"] is True
