"""Listeners' sessions: they live in the cache alone."""

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path
from pydantic import BaseModel, Field

from example_project.api.reads import Cache
from example_project.catalogue import entries

router = APIRouter(tags=["sessions"])
SessionId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{22}$")]


class Listener(BaseModel):
    """Who comes."""

    name: str = Field(pattern=r"^[a-z0-9-]{1,40}$")


class Session(BaseModel):
    """A session, and how many tracks were played in it."""

    id: str
    listener: str
    plays: int = 0


@router.post("/sessions", status_code=201)
async def begin(listener: Listener, cache: Cache) -> Session:
    """Begin a session."""
    session = Session(id=secrets.token_urlsafe(16), listener=listener.name)
    entry = entries.session(session.id, listener.name)
    if not await cache.set(entry.key, session.model_dump(), **entry.options):
        raise HTTPException(503, "sessions cannot be kept for the moment", {"Retry-After": "2"})
    return session


@router.get("/sessions/{number}")
async def show(number: SessionId, cache: Cache) -> Session:
    """Return a session, and let it live on."""
    found = await _found(number, cache)
    entry = entries.session(number, found.listener)
    await cache.touch(entry.key, entry.ttl)
    return found.model_copy(update={"plays": await cache.get(f"{entry.key}:plays", 0)})


@router.post("/sessions/{number}/plays")
async def play(number: SessionId, cache: Cache) -> Session:
    """Count a track that was played; atomic, however many do it at once."""
    found = await _found(number, cache)
    plays = await cache.incr(f"{entries.session(number, found.listener).key}:plays", ttl=1800)
    return found.model_copy(update={"plays": plays})


@router.delete("/listeners/{name}/sessions", status_code=204)
async def end_all(name: str, cache: Cache) -> None:
    """End every session of a listener, on all devices, by their common tag."""
    await cache.invalidate_tags(f"listener:{name}")


async def _found(number: str, cache: Cache) -> Session:
    stored: dict[str, Any] | None = await cache.get(entries.session(number).key)  # as model_dump made it
    if stored is None:
        raise HTTPException(404, "no such session")
    return Session.model_validate(stored)
