"""Whether the caches of the site answer, for monitoring: the site serves without them."""

from typing import Any

from django.core.cache import caches
from django.http import JsonResponse

# Any, in this module: requests and responses, which Django does not annotate.


def healthz(_request: Any) -> Any:
    """Ask every level of every alias: 200, or 503 if one is down."""
    found = {alias: caches[alias].manager.health() for alias in caches}
    is_healthy = all(health.is_healthy for health in found.values())
    return JsonResponse({alias: health.as_dict() for alias, health in found.items()}, status=200 if is_healthy else 503)
