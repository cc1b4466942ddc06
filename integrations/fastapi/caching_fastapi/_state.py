"""Where the cache manager stands in a connection's scope."""

from typing import Final

from starlette.types import Scope

from caching_core import CacheManager
from caching_core.errors import CacheError

STATE_KEY: Final = "caching"


def manager_of(scope: Scope) -> CacheManager:
    """Return the manager of a connection: that of the lifespan, or of the middleware that was given one. Raises CacheError."""
    manager = scope.get("state", {}).get(STATE_KEY)
    if isinstance(manager, CacheManager):
        return manager
    raise CacheError(
        "this application has no cache: its lifespan did not run, or is another one. Pass FastAPI(lifespan=caching_lifespan(config)), "
        "with a lifespan of your own as inner=…, and let the server run it; in tests, `with TestClient(app) as client:` does, or "
        "override the dependency: app.dependency_overrides[tenant_cache] = …"
    )
