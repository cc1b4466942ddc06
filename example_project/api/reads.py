"""Catalogue reads: the same entries that the Django pages use."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException

from caching_fastapi import TenantCache, tenant_cache
from example_project.catalogue import entries, queries

Cache = Annotated[TenantCache, Depends(tenant_cache)]
Json = dict[str, Any]  # what the queries return

router = APIRouter(tags=["catalogue"])


def from_database(query: Callable[..., Any], *arguments: object) -> Callable[[], Awaitable[Any]]:  # what the query takes and returns
    """Return a loader that asks the database in a thread, off the event loop."""
    return partial(asyncio.to_thread, query, *arguments)


@router.get("/artists/{artist}")
async def artist_page(label: str, artist: int, cache: Cache) -> Json:
    """Return the page of an artist."""
    entry = entries.artist_page(artist)
    page: Json = await cache.get_or_set(entry.key, from_database(queries.artist_page, label, artist), **entry.options)
    return page


@router.get("/tracks/{number}")
async def track(label: str, number: int, cache: Cache) -> Json:
    """Return a track."""
    entry = entries.track(number)
    found: Json = await cache.get_or_set(entry.key, from_database(queries.track, label, number), **entry.options)
    return found


@router.get("/chart")
async def chart(label: str, cache: Cache) -> list[Json]:
    """Return the chart: that of the last task, or one made now."""
    entry = entries.chart()
    rows: list[Json] = await cache.get_or_set(entry.key, from_database(queries.chart, label), **entry.options)
    return rows


@router.get("/announcement")
async def announcement(label: str, cache: Cache) -> Json:
    """Return what the label has to say: Django wrote it into the cache, nothing else is asked."""
    found: Json | None = await cache.get(entries.announcement().key)
    if found is None:
        raise HTTPException(404, f"{label} has nothing to say")
    return found
