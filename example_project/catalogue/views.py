"""The pages of a label. The tenant of a request is settled by the middleware; the views just use the cache."""

from typing import Any

from django.core.cache import cache
from django.http import Http404
from django.shortcuts import render

from example_project.catalogue import entries, queries

# Any, in this module: requests and responses, which Django does not annotate.


def label_page(request: Any, label: str) -> Any:
    """Show a label: its announcement, its chart, its artists."""
    context = {
        "label": label,
        "announcement": cache.get(entries.announcement().key),
        "chart": cache.get(entries.chart().key) or [],
        "artists": cache.get_or_set("artists", lambda: queries.artists(label), 60),
    }
    return render(request, "catalogue/label.html", context)


def artist_page(request: Any, label: str, artist: int) -> Any:
    """Show an artist."""
    entry = entries.artist_page(artist)
    try:
        page = cache.get_or_set(entry.key, lambda: queries.artist_page(label, artist), entry.ttl, tags=entry.tags)
    except queries.Missing as missing:
        raise Http404(str(missing)) from missing
    return render(request, "catalogue/artist.html", {"label": label, "artist": page})
