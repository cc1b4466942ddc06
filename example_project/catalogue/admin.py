"""The catalogue in the admin: a change saved here is seen by every process at its next read."""

from django.contrib import admin

from example_project.catalogue.models import Album, Artist, Label, Track


@admin.register(Label)
class LabelAdmin(admin.ModelAdmin):  # type: ignore[misc]  # Django ships no annotations
    """Labels, with the announcement that their listeners see."""

    list_display = ("slug", "name", "announcement")


@admin.register(Artist)
class ArtistAdmin(admin.ModelAdmin):  # type: ignore[misc]  # Django ships no annotations
    """Artists."""

    list_display = ("name", "label")
    list_filter = ("label",)
    search_fields = ("name",)


@admin.register(Album)
class AlbumAdmin(admin.ModelAdmin):  # type: ignore[misc]  # Django ships no annotations
    """Albums."""

    list_display = ("title", "artist", "year")
    list_select_related = ("artist",)
    raw_id_fields = ("artist",)


@admin.register(Track)
class TrackAdmin(admin.ModelAdmin):  # type: ignore[misc]  # Django ships no annotations
    """Tracks."""

    list_display = ("title", "album", "plays")
    list_select_related = ("album",)
    raw_id_fields = ("album",)
