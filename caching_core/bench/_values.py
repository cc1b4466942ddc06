"""Seeded keys and values for measurements: the same seed gives the same workload on every machine."""

import random
import zlib
from bisect import bisect_left
from collections.abc import Callable
from itertools import accumulate

_FILLER_BYTES = 65_536


def uniform_keys(names: list[str], length: int, *, seed: int = 1) -> list[str]:
    """Draw ``length`` of ``names``, each equally likely."""
    return random.Random(seed).choices(names, k=length)  # noqa: S311  (a workload, no secret)


def zipf_keys(names: list[str], length: int, *, exponent: float = 0.99, seed: int = 1) -> list[str]:
    """Draw ``length`` of ``names`` by Zipf's law, ranks shuffled so that neighbours are not alike."""
    rng = random.Random(seed)  # noqa: S311  (a workload, no secret)
    shuffled = list(names)
    rng.shuffle(shuffled)
    edges = list(accumulate(rank**-exponent for rank in range(1, len(names) + 1)))
    top = edges[-1]
    last = len(names) - 1
    return [shuffled[min(bisect_left(edges, rng.random() * top), last)] for _ in range(length)]


def text_value(index: int) -> str:
    """Return a short immutable text, as a rendered name or a token is."""
    return f"user-{index:08d}:active:{'x' * 24}"


def flat_value(index: int) -> dict[str, object]:
    """Return a dict of six plain fields, the usual row of a table."""
    return {
        "id": index,
        "name": f"Listener {index}",
        "email": f"listener{index}@example.org",
        "country": "DE",
        "score": index * 0.5,
        "active": True,
    }


def nested_value(index: int) -> dict[str, object]:
    """Return a dict of six fields, two of them containers."""
    return {
        "id": index,
        "name": f"Listener {index}",
        "tags": ["jazz", "soul", "live"],
        "plan": {"name": "family", "seats": 6},
        "score": index * 0.5,
        "active": True,
    }


def record_value(index: int) -> dict[str, object]:
    """Return a flat dict that takes about 2 KB: a row with a text column."""
    return {**flat_value(index), "about": _words(index, 1850)}


def page_value(index: int) -> str:
    """Return a rendered page of 20 KB."""
    return f"<h1>{index}</h1>" + _words(index, 20_480)


def document_value(index: int) -> list[dict[str, object]]:
    """Return a list of small dicts that takes about 20 KB serialised."""
    return [flat_value(index * 1000 + row) for row in range(190)]


def opaque_values(size: int, *, seed: int = 1) -> Callable[[str], bytes]:
    """Return a function from a key to ``size`` bytes that begin with it, half compressible, the same each time."""
    filler = random.Random(seed).randbytes(_FILLER_BYTES).hex().encode()  # noqa: S311  (a workload, no secret)
    filler *= size // len(filler) + 2
    span = 2 * _FILLER_BYTES

    def value_of(key: str) -> bytes:
        name = key.encode() + b":"
        at = zlib.crc32(name) % span
        return (name + filler[at : at + size])[: max(size, len(name))]

    return value_of


def _words(index: int, size: int) -> str:
    rng = random.Random(index)  # noqa: S311  (a workload, no secret)
    words = ["track", "album", "artist", "listener", "playlist", "concert", "melody", "rhythm", "chorus", "radio"]
    parts: list[str] = []
    length = 0
    while length < size:
        word = f"{rng.choice(words)}{rng.randrange(1000)}"
        parts.append(word)
        length += len(word) + 1
    return " ".join(parts)[:size]
