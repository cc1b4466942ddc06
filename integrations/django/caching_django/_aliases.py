"""The aliases of this project whose backend is ours, and the one that a page is asked for."""

from django.core.cache import DEFAULT_CACHE_ALIAS, caches

from caching_django._backend import TieredCache


def our_aliases() -> dict[str, TieredCache]:
    """Return the cache object of each alias that is ours; an alias whose backend cannot be made is left out."""
    found: dict[str, TieredCache] = {}
    for alias in caches:
        cache = caches[alias]
        if isinstance(cache, TieredCache):
            found[alias] = cache
    return found


def chosen_alias(aliases: dict[str, TieredCache], asked: str | None) -> str | None:
    """Return the alias that was asked for, else the default one, else the first; None where there is none."""
    if asked in aliases:
        return asked
    return DEFAULT_CACHE_ALIAS if DEFAULT_CACHE_ALIAS in aliases else next(iter(aliases), None)
