import lzma
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

REQUESTS = 3000


@pytest.fixture
def trace(tmp_path):
    rng = random.Random(3)
    path = tmp_path / "small.keys.xz"
    path.write_bytes(lzma.compress("".join(f"{int(rng.paretovariate(0.6)) % 900}\n" for _ in range(REQUESTS)).encode()))
    return path


def test_replay_counts_every_request_in_one_tier(caching, trace):
    done = caching("replay", str(trace), "--l1-entries", "100", "--check", "--json")
    assert done.code == 0, done.err
    figures = done.data
    assert figures["requests"] == REQUESTS
    assert figures["hits_l1"] + figures["hits_l2"] + figures["misses"] == REQUESTS
    assert figures["loads"] == figures["misses"] == figures["l2_entries"]
    assert figures["hits_l1"] > 0 < figures["hits_l2"]
    assert figures["l1_entries"] == figures["l1_max_entries"] == 100
    assert figures["findings"] == []
    assert 0 < figures["median_us"] <= figures["p99_us"]


def test_memory_only_has_no_second_tier(caching, trace):
    figures = caching("replay", str(trace), "--l1-entries", "100", "--memory-only", "--check", "--json").data
    assert figures["hits_l2"] == 0
    assert figures["l2_entries"] is None
    assert figures["loads"] == figures["misses"] == REQUESTS - figures["hits_l1"]


@pytest.mark.parametrize("policy", ["s3fifo", "lru"])
def test_policies_and_byte_bounds(caching, trace, policy):
    done = caching("replay", str(trace), "--l1-bytes", "50000", "--policy", policy, "--check", "--json")
    assert done.code == 0, done.err
    assert 0 < done.data["l1_bytes"] <= 50_000


def test_limit_stops_and_a_second_run_in_the_folder_hits_disk(caching, trace):
    first = caching("replay", str(trace), "--limit", "500", "--directory", "kept", "--json").data
    again = caching("replay", str(trace), "--limit", "500", "--directory", "kept", "--json").data
    assert first["requests"] == again["requests"] == 500
    assert first["loads"] > 0
    assert again["loads"] == 0


def test_plain_progress_goes_to_stderr(caching, trace):
    done = caching("replay", str(trace), "--limit", "2000", fresh=True)
    assert done.code == 0
    assert "requests: 2,000" in done.out
    assert "100 %  2,000 requests" in done.err
    assert "\x1b" not in done.out + done.err


def test_a_replay_that_is_told_to_stop_leaves_nothing(caching, tmp_path):
    place, requests = tmp_path / "place", tmp_path / "endless.keys"
    place.mkdir()
    os.mkfifo(requests)
    command = [sys.executable, "-m", "caching_core.cli", "replay", str(requests), "--limit", "10000"]
    environ = {**os.environ, "TMPDIR": str(place), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as replay:
        try:
            with requests.open("w") as writer:
                writer.write("".join(f"{number}\n" for number in range(3000)))
                writer.flush()
                assert "requests" in replay.stderr.readline()  # and now it waits for more
                assert len(list(place.iterdir())) == 1
                replay.terminate()
                assert replay.wait(timeout=60) == 128 + signal.SIGTERM
        finally:
            replay.kill()
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.keys.xz", None, "does not exist"),
        ("bad.keys", b"1\n2\nx\n4\n", "bad.keys, line 3"),
        ("bad.csv", b"key,t_ms\n1\n", "bad.csv, line 2"),
        ("other.keys", b"hello\n", "unknown format"),
        ("false.keys.xz", b"1\n2\n", "is no xz file"),
    ],
)
def test_a_bad_trace_is_refused(caching, tmp_path, name, content, says):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refused = caching("replay", name)
    assert refused.code == 2
    assert says in refused.err


def test_an_unknown_policy_is_refused(caching, trace):
    refused = caching("replay", str(trace), "--policy", "fastest")
    assert refused.code == 2
    assert "s3fifo" in refused.err
