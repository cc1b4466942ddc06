"""The process of suite import that forks: run as a module, the task as JSON on its input."""

import json
import os
import struct
import sys
from pathlib import Path
from time import perf_counter

from caching_core.comparison._ours import Ours, open_ours


def first_get_after_fork(ours: Ours, key: str) -> float:
    """Fork, and return the seconds that the child's first get of ``key`` took."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        begin = perf_counter()
        value = ours.get(key)
        spent = perf_counter() - begin
        os.write(writer, struct.pack("d", spent if value is not None else -1.0))
        os._exit(0)
    os.close(writer)
    answer = os.read(reader, 8)
    os.close(reader)
    os.waitpid(child, 0)
    assert len(answer) == struct.calcsize("d"), "the child ended before its first get"
    (seconds,) = struct.unpack("d", answer)
    assert seconds >= 0, "the child's first get was a miss"
    return float(seconds)


def measure_forks(directory: Path, rounds: int) -> dict[str, list[float]]:
    """Return seconds of first gets in fresh children: of an entry that L1 held before the fork, and of one on disk only."""
    with open_ours(directory) as ours:
        ours.put("warm", "value")
        ours.confirm({"warm": "value"})
        ours.put("cold", "value")
        return {key: [first_get_after_fork(ours, key) for _ in range(rounds)] for key in ("warm", "cold")}


if __name__ == "__main__":
    task = json.load(sys.stdin)
    sys.stdout.write(json.dumps(measure_forks(Path(task["directory"]), task["rounds"])) + "\n")
