"""A seeded session workload: visitors of a music catalogue, drawn by Zipf's law."""

import bisect
import itertools
import random
from collections.abc import Iterator

TENANTS = ("acme", "globex", "initech")
_SHELVES = ("profile", "settings", "playlists")


class Popularity:
    """Draws ids 0 … ``count`` - 1; the rank-r id comes with weight r ** -``exponent``."""

    def __init__(self, count: int, exponent: float, seed: int) -> None:
        self._edges = list(itertools.accumulate(rank**-exponent for rank in range(1, count + 1)))
        self._ids = list(range(count))
        # The same order for every worker: what is popular with one is popular with all.
        random.Random(seed).shuffle(self._ids)

    def draw(self, source: random.Random) -> int:
        """Return one id."""
        place = bisect.bisect_left(self._edges, source.random() * self._edges[-1])
        return self._ids[min(place, len(self._ids) - 1)]


def visits(seed: int) -> Iterator[tuple[str, str]]:
    """Yield (tenant, key) for ever; equal seeds yield the same.

    A visit reads a session, some shelves of its user, then tracks and now and then an artist's page. One
    visitor in five is new, so that some keys are always cold.
    """
    source = random.Random(seed)
    users, tracks, artists = Popularity(20_000, 0.9, 1), Popularity(30_000, 1.0, 2), Popularity(2_000, 0.8, 3)
    strangers = itertools.count(1_000_000 * (seed + 1))
    while True:
        tenant = TENANTS[min(int(source.expovariate(1.2)), len(TENANTS) - 1)]
        user = next(strangers) if source.random() < 0.2 else users.draw(source)
        yield tenant, f"session:{user}"
        for shelf in _SHELVES:
            if source.random() < 0.7:
                yield tenant, f"user:{user}:{shelf}"
        for _ in range(1 + int(source.expovariate(0.2))):
            track = tracks.draw(source)
            yield tenant, f"track:{track}"
            if source.random() < 0.3:
                yield tenant, f"artist:{artists.draw(source)}:page"


def row(tenant: str, key: str) -> dict[str, object]:
    """Return what a database would hold under ``key``: the same for the same name, 300 bytes to 2 KB."""
    source = random.Random(f"{tenant}/{key}")
    return {
        "key": key,
        "tenant": tenant,
        "title": " ".join(f"word{source.randrange(500)}" for _ in range(6)),
        "plays": source.randrange(10**6),
        "tags": [f"tag{source.randrange(40)}" for _ in range(source.randrange(1, 8))],
        "related": [source.randrange(30_000) for _ in range(source.randrange(20, 200))],
    }


def payload(number: int) -> dict[str, object]:
    """Return what the writer stores as its ``number``-th value."""
    return {"number": number, "text": f"{number:08d}" * 64}
