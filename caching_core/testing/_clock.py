"""A clock that moves only when it is told to."""

from typing import Final

_NANO: Final = 1_000_000_000


class ManualClock:
    """Stands in for a machine's two clocks: the steady one (``now``, ``now_ms``) and the wall's (``wall``).

    ``advance`` moves both, ``jump_wall`` the wall's alone, as a time server or an operator does. Kept in
    nanoseconds, so that a thousand small steps add up exactly. Threads may read it while one moves it.
    """

    __slots__ = ("_steady", "_wall")

    def __init__(self, *, start: float = 1_000_000.0, wall: float = 1_700_000_000.0) -> None:
        self._steady = round(start * _NANO)
        self._wall = round(wall * _NANO)

    def now(self) -> float:
        """Return steady seconds."""
        return self._steady / _NANO

    def now_ms(self) -> int:
        """Return steady milliseconds."""
        return self._steady // 1_000_000

    def wall(self) -> float:
        """Return the time of day, in seconds since 1970."""
        return self._wall / _NANO

    def advance(self, seconds: float) -> None:
        """Let time pass. Raises ValueError for a negative number: a steady clock never goes back."""
        if seconds < 0:
            raise ValueError(f"a steady clock does not go back by {-seconds} s; jump_wall moves the wall clock")
        step = round(seconds * _NANO)
        self._steady += step
        self._wall += step

    def jump_wall(self, seconds: float) -> None:
        """Set the wall clock forward, or back where ``seconds`` is negative."""
        self._wall += round(seconds * _NANO)
