"""Querysets that an event loop stores: what they stand for is fetched first, since pickling one would ask the database."""

import sys


async def fetch(value: object) -> None:
    """Let a queryset fetch its rows, Django's asynchronous way; other values are left alone."""
    query = sys.modules.get("django.db.models.query")  # where it was not imported, there is no queryset
    if query is not None and isinstance(value, query.QuerySet):
        async for _ in value:
            pass
