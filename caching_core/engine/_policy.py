"""Settings per namespace or key pattern, found once per write."""

import re
from collections.abc import Mapping
from fnmatch import translate

from caching_core.config import EntryPolicy


class EntryPolicies:
    """The configured policies in order; the first that fits counts.

    A name without ``*`` or ``?`` is a namespace; a pattern is held against the key and against ``namespace:key``.
    """

    __slots__ = ("_policies",)

    def __init__(self, policies: Mapping[str, EntryPolicy]) -> None:
        self._policies = [
            (None if not any(char in name for char in "*?") else re.compile(translate(name)), name, policy)
            for name, policy in policies.items()
        ]

    def of(self, namespace: str, key: str) -> EntryPolicy | None:
        """Return the policy of a key, or None."""
        for pattern, name, policy in self._policies:
            if pattern is None:
                if name == namespace:
                    return policy
            elif pattern.match(key) or pattern.match(f"{namespace}:{key}"):
                return policy
        return None
