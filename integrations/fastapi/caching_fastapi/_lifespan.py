"""The cache for the life of an application."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from caching_core import CacheConfig, CacheManager
from caching_fastapi._state import STATE_KEY

State = Mapping[str, Any]  # Any: what an application keeps there is its own
Inner = Callable[[Any], AbstractAsyncContextManager[State | None]]  # Any: an application of FastAPI's, Starlette's or a subclass
Lifespan = Callable[[Any], AbstractAsyncContextManager[State]]  # Any: as above


def caching_lifespan(config: Mapping[str, object] | CacheConfig | None = None, inner: Inner | None = None) -> Lifespan:
    """Return a lifespan that opens the cache before the application serves, and closes it afterwards.

    ``inner`` is the application's own lifespan: it runs while the cache is open, and what it yields is kept beside it. Raises
    ConfigInvalid here for a wrong setting; at the start KeyUnavailable or TierUnavailable where the cache cannot be opened.
    """
    settings = CacheConfig.build(config)

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[State]:  # Any: as in Inner
        async with CacheManager(settings) as manager:
            if inner is None:
                yield {STATE_KEY: manager}
                return
            async with inner(app) as state:
                yield {**(state or {}), STATE_KEY: manager}

    return lifespan
