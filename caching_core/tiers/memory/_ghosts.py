"""The memory of keys that were evicted after one look: their return shows that they are wanted."""

from collections import deque
from typing import Final

GHOST_BYTES: Final = 128  # a 60-bit int, its place in a set that is 20-60 % full, and in a deque; traced: 75-157
_MASK: Final = (1 << 60) - 1  # two digits: the largest int of 32 bytes
_SLACK: Final = 64


class Ghosts:
    """A FIFO of key hashes with membership; a hash that is taken leaves a counted mark, as in ``Fifo``."""

    __slots__ = ("_members", "_order", "_stale")

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._members: set[int] = set()
        self._order: deque[int] = deque()
        self._stale: dict[int, int] = {}

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._members)

    def add(self, key: str, salt: int, *, limit: int) -> int:
        """Remember a key, at most ``limit`` in all, and return how many there are; one that is remembered keeps its age."""
        ghost = (hash(key) ^ salt) & _MASK
        members = self._members
        if ghost not in members:
            members.add(ghost)
            self._order.append(ghost)
        count = len(members)
        if count <= limit:
            return count
        self.trim(limit)
        return limit

    def take(self, key: str, salt: int) -> bool:
        """Forget a key and return whether it was remembered."""
        ghost = (hash(key) ^ salt) & _MASK
        if ghost not in self._members:
            return False
        self._members.remove(ghost)
        self._stale[ghost] = self._stale.get(ghost, 0) + 1
        if len(self._order) > 2 * len(self._members) + _SLACK:
            self._compact()
        return True

    def trim(self, limit: int) -> None:
        """Forget the oldest until at most ``limit`` are left."""
        members = self._members
        while len(members) > limit:
            ghost = self._order.popleft()
            if not (self._stale and self._spend(ghost)):
                members.remove(ghost)

    def _compact(self) -> None:
        self._order = deque(ghost for ghost in self._order if not self._spend(ghost))

    def _spend(self, ghost: int) -> bool:
        count = self._stale.get(ghost)
        if count is None:
            return False
        if count == 1:
            del self._stale[ghost]
        else:
            self._stale[ghost] = count - 1
        return True
