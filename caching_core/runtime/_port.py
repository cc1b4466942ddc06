"""What the engine needs of the world it runs in: time, waiting, background work."""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol


class Waiter(Protocol):
    """One caller's place in a queue; ``wake`` may come from any thread, before or after ``wait``."""

    def wake(self) -> None:
        """End the wait; harmless when nobody waits any more."""
        ...

    async def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds; True if woken."""
        ...


class Runtime(Protocol):
    """The blocking or the event-loop world. The engine awaits it and knows neither.

    ``blocks``: waiting here stops the whole calling thread.
    """

    blocks: bool

    def thread(self) -> int:
        """Return the identity of the calling thread."""
        ...

    def now(self) -> float:
        """Return monotonic seconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Pause this caller only."""
        ...

    def waiter(self) -> Waiter:
        """Make a waiter for the calling thread or task."""
        ...

    def spawn(self, job: Callable[[], Coroutine[Any, Any, object]], *, name: str) -> None:
        """Run ``job`` in the background, apart from the caller; its errors go to the log."""
        ...
