"""Embeddings of texts without a model: each pair of neighbouring letters adds a direction of its own."""

import hashlib
import math
from itertools import pairwise

WIDTH = 48


def embed(text: str) -> list[float]:
    """Return a vector of length 1; equal texts have equal vectors, similar texts have near ones."""
    sums = [0.0] * WIDTH
    for word in text.lower().split():
        for pair in pairwise(f"^{word}$"):
            digest = hashlib.blake2b("".join(pair).encode(), digest_size=WIDTH).digest()
            for place, byte in enumerate(digest):
                sums[place] += byte - 127.5
    length = math.sqrt(sum(part * part for part in sums)) or 1.0
    return [part / length for part in sums]


def likeness(one: list[float], other: list[float]) -> float:
    """Return the cosine of two vectors of length 1."""
    return sum(first * second for first, second in zip(one, other, strict=True))
