"""A catalogue made from a seed: the same for everybody who runs the example."""

import random
from typing import Final

from django.db import transaction

from example_project.catalogue.models import Album, Artist, Label, Track
from example_project.configuration import ALBUMS, ARTISTS, LABELS, TRACKS

_WORDS: Final = (
    "amber", "anchor", "ash", "autumn", "blue", "borrowed", "brass", "cedar", "city", "copper", "distant", "dust", "echo", "ember",
    "field", "first", "fog", "garden", "glass", "harbour", "hollow", "iron", "island", "ivory", "lantern", "last", "marble", "meadow",
    "midnight", "mirror", "morning", "north", "ocean", "paper", "quiet", "rain", "river", "salt", "second", "shadow", "silver", "slow",
    "small", "smoke", "snow", "stone", "summer", "thread", "tide", "velvet", "violet", "wild", "winter", "wooden",
)  # fmt: skip


def seed_catalogue() -> int:
    """Fill an empty database; return the number of tracks that are there afterwards."""
    if not Label.objects.exists():
        with transaction.atomic():
            Label.objects.bulk_create(Label(slug=slug, name=slug.title()) for slug in LABELS)
            for number, label in enumerate(LABELS):
                _seed_label(label, random.Random(number))
    return int(Track.objects.count())


def _seed_label(label: str, source: random.Random) -> None:
    made = Artist.objects.bulk_create(
        Artist(label_id=label, name=f"The {_title(source)}", biography=" ".join(_title(source) for _ in range(30))) for _ in range(ARTISTS)
    )
    albums = Album.objects.bulk_create(
        Album(artist=artist, title=_title(source), year=source.randrange(1970, 2026)) for artist in made for _ in range(ALBUMS)
    )
    Track.objects.bulk_create(
        Track(album=album, title=_title(source), seconds=source.randrange(90, 420), plays=int(source.paretovariate(0.7) * 10) % 1_000_000)
        for album in albums
        for _ in range(TRACKS)
    )


def _title(source: random.Random) -> str:
    return " ".join(source.sample(_WORDS, 2)).title()
