"""The process of suite disk that writes: run as a module, the task as JSON on its input."""

import json
import sys
from pathlib import Path

from caching_core.comparison._disk_peers import DISK_PEERS
from caching_core.comparison._ours import open_ours
from caching_core.comparison._shapes import SHAPES, key_of


def seed(directory: Path, peers: list[str], keys: int) -> int:
    """Write each shape's values into ours and into the named peers; return how many each got."""
    values = {key_of(shape, number): value_of(number) for shape, value_of in SHAPES.items() for number in range(keys)}
    with open_ours(directory / "ours") as ours:
        for key, value in values.items():
            ours.put(key, value)
    for peer in DISK_PEERS:
        if peer.name in peers:
            opened = peer.open(directory / peer.name)
            for key, value in values.items():
                opened.put(key, value)
            opened.close()
    return len(values)


if __name__ == "__main__":
    task = json.load(sys.stdin)
    sys.stdout.write(json.dumps({"written": seed(Path(task["directory"]), task["peers"], task["keys"])}) + "\n")
