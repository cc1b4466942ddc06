"""One listener's visit, as the requests that it makes."""

import random
from collections.abc import Iterator
from typing import Final, NamedTuple

from example_project.configuration import ALBUMS, ARTISTS, LABELS, TRACKS
from example_project.traffic._popularity import Popularity

_TRACKS: Final = ARTISTS * ALBUMS * TRACKS  # of each label; the seed numbers them one label after another


class Request(NamedTuple):
    """A request; ``{session}`` in its path is the visit's session, which the first request begins."""

    method: str
    path: str
    body: dict[str, str] | None = None


def visits(seed: int) -> Iterator[list[Request]]:
    """Yield visits for ever; equal seeds yield the same.

    A visit begins a session with one of the labels, looks at artists and tracks, the popular ones more often, plays some, and
    now and then asks for more of the kind.
    """
    source = random.Random(seed)
    artists, tracks = Popularity(ARTISTS, 0.9, 1), Popularity(_TRACKS, 1.0, 2)
    while True:
        place = min(int(source.expovariate(1.2)), len(LABELS) - 1)
        root = f"/t/{LABELS[place]}"
        requests = [Request("POST", f"{root}/sessions", {"name": f"listener-{source.randrange(5000)}"}), Request("GET", f"{root}/chart")]
        for _ in range(1 + int(source.expovariate(0.3))):
            requests.append(Request("GET", f"{root}/artists/{place * ARTISTS + artists.draw(source) + 1}"))
            track = place * _TRACKS + tracks.draw(source) + 1
            requests += [Request("GET", f"{root}/tracks/{track}"), Request("POST", f"{root}/sessions/{{session}}/plays")]
            if source.random() < 0.2:
                requests.append(Request("GET", f"{root}/tracks/{track}/similar"))
        requests.append(Request("GET", f"{root}/sessions/{{session}}"))
        yield requests
