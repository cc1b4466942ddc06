"""Embeddings of tracks: dear to make, so they are kept for a day, and asked for many at a time."""

import asyncio
from typing import Any

from fastapi import APIRouter

from example_project.api.reads import Cache, Json, from_database
from example_project.api.vectors import embed, likeness
from example_project.catalogue import entries, queries

router = APIRouter(tags=["embeddings"])


@router.get("/tracks/{number}/embedding")
async def embedding(label: str, number: int, cache: Cache) -> list[float]:
    """Return the embedding of a track."""
    entry = entries.embedding(number)
    vector: list[float] = await cache.get_or_set(entry.key, from_database(_embedding, label, number), **entry.options)
    return vector


@router.get("/tracks/{number}/similar")
async def similar(label: str, number: int, cache: Cache) -> list[Json]:
    """Return the five tracks of the chart that are most like this one: 50 embeddings in one trip."""
    own = await embedding(label, number, cache)
    chart: list[Json] = await cache.get_or_set(entries.chart().key, from_database(queries.chart, label), **entries.chart().options)
    vectors = await _embeddings([row for row in chart if row["id"] != number], cache)
    nearest = sorted(((likeness(own, vectors[row["id"]]), row) for row in chart if row["id"] != number), key=lambda pair: -pair[0])
    return [{"id": row["id"], "title": row["title"], "likeness": round(score, 3)} for score, row in nearest[:5]]


async def _embeddings(rows: list[Json], cache: Cache) -> dict[int, list[float]]:
    """Return the vectors of several tracks; those that nobody has are made in a thread and kept together."""
    entry = entries.embedding(0)
    keys = {entries.embedding(row["id"]).key: row for row in rows}
    found: dict[str, Any] = await cache.get_many(keys)
    missing = {key: row for key, row in keys.items() if key not in found}
    if missing:
        made = await asyncio.to_thread(lambda: {key: embed(row["title"]) for key, row in missing.items()})
        await cache.set_many(made, ttl=entry.ttl, data_type=entry.data_type)
        found |= made
    return {row["id"]: found[key] for key, row in keys.items()}


def _embedding(label: str, number: int) -> list[float]:
    return embed(str(queries.track(label, number)["title"]))
