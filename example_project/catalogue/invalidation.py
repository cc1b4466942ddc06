"""From a change in the database to the cache: after the commit, in the tenant whose data it is."""

from functools import partial
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.db.models.signals import post_delete, post_save

from caching_core import use_tenant
from example_project.catalogue import entries
from example_project.catalogue.models import Album, Artist, Label, Track

# Any, in this module: Django ships no annotations.


def connect() -> None:
    """Listen to the models. Bulk changes send no signals: who makes them invalidates by himself."""
    for signal in (post_save, post_delete):
        signal.connect(_artist_changed, sender=Artist, dispatch_uid="catalogue.artist")
        signal.connect(_album_changed, sender=Album, dispatch_uid="catalogue.album")
        signal.connect(_track_changed, sender=Track, dispatch_uid="catalogue.track")
    post_save.connect(_label_saved, sender=Label, dispatch_uid="catalogue.label")


def _artist_changed(*, instance: Any, **_: Any) -> None:
    tracks = Track.objects.filter(album__artist=instance).values_list("pk", flat=True) if instance.pk else ()
    _invalidate(instance.label_id, entries.artist_tag(instance.pk), *(f"track:{number}" for number in tracks))


def _album_changed(*, instance: Any, **_: Any) -> None:
    tracks = instance.tracks.values_list("pk", flat=True) if instance.pk else ()
    _invalidate(instance.artist.label_id, entries.artist_tag(instance.artist_id), *(f"track:{number}" for number in tracks))


def _track_changed(*, instance: Any, **_: Any) -> None:
    artist = instance.album.artist
    _invalidate(artist.label_id, entries.artist_tag(artist.pk), f"track:{instance.pk}")


def _label_saved(*, instance: Any, **_: Any) -> None:
    transaction.on_commit(partial(_announce, instance.pk, instance.announcement))


def _invalidate(label: str, *tags: str) -> None:
    def after_commit() -> None:
        with use_tenant(label):
            cache.invalidate_tags(*tags)

    transaction.on_commit(after_commit)


def _announce(label: str, text: str) -> None:
    entry = entries.announcement()
    with use_tenant(label):
        if text:
            cache.set(entry.key, {"text": text}, entry.ttl)
        else:
            cache.delete(entry.key)
