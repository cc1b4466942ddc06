"""Until when a value may be read: as long as it was loaded for, or as a ``touch`` or ``persist`` said since.

The deadline that a value was loaded with tells the loads of a key apart.
"""

from operator import attrgetter

from caching_core.testing.history._gather import ENDLESS, KeyEvents, Read, Touch
from caching_core.testing.history._record import Tier


class Lifetimes:
    """The hard limits of one key's values."""

    __slots__ = ("_born", "_found", "_touches")

    def __init__(self, events: KeyEvents) -> None:
        touches = [touch for touch in events.touches.values() if touch.found is not False]
        self._touches = sorted(touches, key=attrgetter("begin"))
        self._born: dict[int, int] = {}  # when the load that made it began, by deadline
        self._found: dict[int, int] = {}  # when it had first been found by somebody else
        if not self._touches:
            return
        for begin, end, _, deadline, _, tier, _ in events.reads:
            if tier == Tier.LOADED:
                self._born[deadline] = min(begin, self._born.get(deadline, begin))
            else:
                self._found[deadline] = min(end, self._found.get(deadline, end))

    def limit(self, read: Read) -> int:
        """Return the last moment at which the read's value was good, whatever the order of calls that overlapped."""
        begin, _, _, limit = read[:4]
        if not limit:
            return ENDLESS
        born, found = self._born.get(limit, 0), self._found.get(limit, ENDLESS)
        rivals: list[Touch] = []
        for touch in self._touches:
            if touch.begin > limit:
                break
            if touch.end < born:
                continue
            rivals = [rival for rival in rivals if rival.end >= touch.begin]
            if touch.found and touch.begin >= found and touch.end < begin:
                # It stood before and after: it was this value that was touched, and only a rival can have been later.
                limit = max((rival.limit for rival in rivals), default=0)
            rivals.append(touch)
            limit = max(limit, touch.limit)
        return limit
