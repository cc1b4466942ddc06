"""``manage.py cache …``: the core's command line on the cache of an alias."""

import argparse
from typing import Any

from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.management.base import BaseCommand, CommandError

from caching_core.cli import run_bound
from caching_core.errors import CacheError
from caching_django._backend import TieredCache


class Command(BaseCommand):  # type: ignore[misc]  # Django ships no annotations
    """Runs a command of the core, with its exit codes: 0 fine, 1 a finding, 2 wrong usage."""

    help = "Look at the cache of an alias, change it, prove that it works. Without a command the commands are listed."
    requires_system_checks: list[str] = []  # noqa: RUF012 -- Django's own attribute; the cache must be looked at even where checks fail

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Take the alias; the rest belongs to the core."""
        parser.add_argument("--alias", default=DEFAULT_CACHE_ALIAS, help="Alias in CACHES (default: %(default)s).")
        parser.add_argument(
            "arguments", nargs=argparse.REMAINDER, metavar="command", help="Command and options; --help after one explains it."
        )

    def handle(self, *_: str, alias: str, arguments: list[str], **_options: Any) -> None:
        """Bind the settings of the alias, and run."""
        if alias not in caches.settings:
            raise CommandError(f"CACHES has no alias {alias!r}; there are {', '.join(sorted(caches.settings))}")
        cache = caches[alias]
        if not isinstance(cache, TieredCache):
            raise CommandError(f"the alias {alias!r} is not one of caching_django.TieredCache")
        try:
            config, namespace = cache.shared.config, cache.namespace()
        except CacheError as error:
            raise CommandError(f"CACHES[{alias!r}]: {error}; `manage.py check` tells more") from error
        run_bound(arguments, config=config, namespace=namespace, name="manage.py cache")
