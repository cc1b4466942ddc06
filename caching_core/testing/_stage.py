"""One test body for both worlds: driven in one step over blocking ports, or on an event loop."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypeVar

from caching_core.runtime._run import run_sync
from caching_core.testing._clock import ManualClock
from caching_core.tiers._protocol import Store

World = Literal["blocking", "loop"]
C = TypeVar("C")


class Stage:
    """What a contract's test acts on: ``store``, its ``clock``, and ``open`` for another store over the same data.

    Stores are made when they are first asked for, so inside the running world, and closed at the end of the test.
    """

    __slots__ = ("_made", "_make", "clock", "world")

    def __init__(self, world: World, clock: ManualClock, make: Callable[[], Store]) -> None:
        self.world = world
        self.clock = clock
        self._make = make
        self._made: list[Store] = []

    def open(self) -> Store:
        """Make another store over the same data."""
        self._made.append(self._make())
        return self._made[-1]

    @property
    def store(self) -> Store:
        """The first store."""
        return self._made[0] if self._made else self.open()

    def close(self) -> None:
        """Close all stores of this stage."""
        while self._made:
            self._made.pop().close()


def driven(body: Callable[[C, Stage], Coroutine[Any, Any, None]]) -> Callable[[C, Stage], None]:  # Any: nothing is sent
    """Turn a coroutine test into a plain one, run in the world of its stage."""

    @functools.wraps(body)
    def test(self: C, stage: Stage) -> None:
        async def whole() -> None:
            try:
                await body(self, stage)
            finally:
                stage.close()

        if stage.world == "blocking":
            run_sync(whole())
        else:
            asyncio.run(whole())

    return test
