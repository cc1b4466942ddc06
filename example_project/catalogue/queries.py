"""What is read from the database: each function takes the label, and finds nothing of another's."""

from typing import Any

from django.db.models import Sum

from example_project.catalogue.models import Artist, Track

# Any, in this module: rows as plain mappings, and Django, which ships no annotations.


class Missing(LookupError):
    """The label has no such thing."""


def artist_page(label: str, artist: int) -> dict[str, Any]:
    """Return everything that the page of an artist shows. Raises Missing."""
    found = Artist.objects.filter(label_id=label, pk=artist).first()
    if found is None:
        raise Missing(f"{label} has no artist {artist}")
    albums = [
        {
            "title": album.title,
            "year": album.year,
            "tracks": [{"id": track.pk, "title": track.title, "seconds": track.seconds} for track in album.tracks.order_by("pk")],
        }
        for album in found.albums.order_by("-year")
    ]
    plays = Track.objects.filter(album__artist=found).aggregate(plays=Sum("plays"))["plays"] or 0
    top = Track.objects.filter(album__artist=found).order_by("-plays")[:5].values("id", "title", "plays")
    others = Artist.objects.filter(label_id=label).exclude(pk=artist).order_by("pk")
    return {
        "id": found.pk,
        "label": label,
        "name": found.name,
        "biography": found.biography,
        "albums": albums,
        "plays": plays,
        "top": list(top),
        "others": [{"id": other.pk, "name": other.name} for other in others[:10]],
    }


def artists(label: str) -> list[dict[str, Any]]:
    """Return the artists of a label by name."""
    return list(Artist.objects.filter(label_id=label).order_by("name").values("id", "name"))


def track(label: str, number: int) -> dict[str, Any]:
    """Return a track with its album and artist. Raises Missing."""
    found = Track.objects.filter(album__artist__label_id=label, pk=number).select_related("album__artist").first()
    if found is None:
        raise Missing(f"{label} has no track {number}")
    album = found.album
    return {
        "id": found.pk,
        "title": found.title,
        "seconds": found.seconds,
        "album": album.title,
        "year": album.year,
        "artist": {"id": album.artist_id, "name": album.artist.name},
    }


def chart(label: str, places: int = 50) -> list[dict[str, Any]]:
    """Return the most played tracks of a label."""
    rows = Track.objects.filter(album__artist__label_id=label).order_by("-plays", "pk")[:places]
    return list(rows.values("id", "title", "plays"))
