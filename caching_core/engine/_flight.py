"""Single flight: the callers of this process that want one cold key share one load."""

from caching_core.runtime import Mutex, Runtime, Waiter
from caching_core.tiers.memory import Entry


class Flight:
    """One load under way. ``entry`` is what it found, when that may be shared; ``error`` what it failed with.

    ``thread`` is the leader's. ``is_private`` once the leader knows that its value is nobody else's: it is not kept.
    """

    __slots__ = ("_ended", "_mutex", "_waiters", "entry", "error", "is_private", "thread")

    def __init__(self, thread: int) -> None:
        self.thread = thread
        self.is_private = False
        self._mutex = Mutex()
        self._waiters: list[Waiter] = []
        self._ended = False
        self.entry: Entry | None = None
        self.error: BaseException | None = None

    async def wait(self, runtime: Runtime, *, timeout: float) -> bool:
        """Wait for the leader; False if ``timeout`` seconds went by."""
        waiter = runtime.waiter()
        with self._mutex:
            if self._ended:
                return True
            self._waiters.append(waiter)
        try:
            return await waiter.wait(timeout)
        finally:
            with self._mutex:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)

    def end(self) -> None:
        """Wake everybody. Without ``entry`` and ``error`` they start over: the leader's value was its own only."""
        with self._mutex:
            self._ended = True
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.wake()


class Flights:
    """The flights of this process, by scope and key. Emptied in a forked child: its leaders are in the parent."""

    __slots__ = ("_flights",)

    def __init__(self) -> None:
        self._flights: dict[tuple[str, str, str], Flight] = {}

    def join(self, name: tuple[str, str, str], thread: int) -> tuple[Flight, bool]:
        """Return the flight of ``name`` and whether the caller, in this thread, leads it."""
        mine = Flight(thread)
        flight = self._flights.setdefault(name, mine)
        return flight, flight is mine

    def leave(self, name: tuple[str, str, str], flight: Flight) -> None:
        """End the caller's flight: later callers start a new one, then the waiters wake."""
        if self._flights.get(name) is flight:
            del self._flights[name]
        flight.end()

    def after_fork(self) -> None:
        """Forget the parent's flights."""
        self._flights = {}
