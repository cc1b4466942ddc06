"""Labels with their artists, albums and tracks. A label is a tenant: its slug is the tenant's id."""

from typing import Any

from django.db import models

# Any, in this module: Django ships no annotations.


class Label(models.Model):  # type: ignore[misc]  # Django ships no annotations
    """A record label."""

    slug: Any = models.SlugField(primary_key=True)
    name: Any = models.CharField(max_length=80)
    announcement: Any = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return str(self.name)


class Artist(models.Model):  # type: ignore[misc]  # Django ships no annotations
    """Who makes the music."""

    label: Any = models.ForeignKey(Label, on_delete=models.CASCADE, related_name="artists")
    name: Any = models.CharField(max_length=80)
    biography: Any = models.TextField(blank=True)

    def __str__(self) -> str:
        return str(self.name)


class Album(models.Model):  # type: ignore[misc]  # Django ships no annotations
    """A record."""

    artist: Any = models.ForeignKey(Artist, on_delete=models.CASCADE, related_name="albums")
    title: Any = models.CharField(max_length=80)
    year: Any = models.PositiveSmallIntegerField()

    def __str__(self) -> str:
        return str(self.title)


class Track(models.Model):  # type: ignore[misc]  # Django ships no annotations
    """A piece on a record."""

    album: Any = models.ForeignKey(Album, on_delete=models.CASCADE, related_name="tracks")
    title: Any = models.CharField(max_length=80)
    seconds: Any = models.PositiveSmallIntegerField()
    plays: Any = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.title)
