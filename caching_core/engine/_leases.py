"""Leases that may stand under a token of ours though nobody loads: of calls that were cancelled, or whose answer was lost."""

from typing import Final

from caching_core.errors import TierUnavailable
from caching_core.tiers import Store

_MOST: Final = 10_000
_ON_ITS_WAY_SECONDS: Final = 2.0


class LeftLeases:
    """Gives them back as soon as the store can be asked; who waits for such a key would else wait for the lease's own time.

    A request may still be on its way when its caller goes, and take the lease after it was given back: so it is given back
    again, for two seconds. Bounded; when it is full the newest are left to end by themselves. Thread-safe.
    """

    __slots__ = ("_left", "_seconds")

    def __init__(self, lease_seconds: float) -> None:
        """``lease_seconds``: after that a lease has ended by itself."""
        self._seconds = lease_seconds
        self._left: dict[tuple[str, bytes], float] = {}  # by name and token: when it was left

    def leave(self, name: str, token: bytes, now: float) -> bool:
        """Remember a lease that may have been granted; whether it is the only one."""
        is_first = not self._left
        if len(self._left) < _MOST:
            self._left[name, token] = now
        return is_first

    async def give_back(self, store: Store, now: float) -> None:
        """Give back what is left; what the store does not hear stays for the next time."""
        for (name, token), since in list(self._left.items()):
            try:
                if now - since <= self._seconds:
                    await store.release(name, token)
            except TierUnavailable:
                return  # the others would fare no better
            if now - since > _ON_ITS_WAY_SECONDS:
                self._left.pop((name, token), None)

    def after_fork(self) -> None:
        """Leave them to the parent."""
        self._left = {}
