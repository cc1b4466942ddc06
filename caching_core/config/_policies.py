"""Find the policy of an entry among those of the configuration."""

import fnmatch
import re
from collections.abc import Callable, Mapping

from caching_core.config._behaviour import EntryPolicy

_WILD = re.compile(r"[*?]")


class PolicyBook:
    """The policies, ready to be asked; without a policy that fits, an entry has all defaults.

    A name with ``*`` or ``?`` is a glob over the key (all else in it is literal, matching takes
    time linear in the key); a name without is a namespace. The first that fits counts. Immutable.
    """

    __slots__ = ("_default", "_rules")

    def __init__(self, policies: Mapping[str, EntryPolicy]) -> None:
        self._default = EntryPolicy()
        self._rules = tuple((_matcher(name), policy) for name, policy in policies.items())

    def __bool__(self) -> bool:
        """Return whether there is any policy at all."""
        return bool(self._rules)

    def of(self, namespace: str, key: str) -> EntryPolicy:
        """Return the policy of this key in this namespace."""
        for fits, policy in self._rules:
            if fits(namespace, key):
                return policy
        return self._default


def _matcher(name: str) -> Callable[[str, str], bool]:
    if _WILD.search(name) is None:
        return lambda namespace, _key: namespace == name
    fits = glob(name)
    return lambda _namespace, key: fits(key)


def glob(pattern: str) -> Callable[[str], bool]:
    """Return whether a text fits a pattern in which ``*`` and ``?`` are wild; matching takes time linear in the text."""
    head = pattern[:-1]
    if pattern.endswith("*") and _WILD.search(head) is None:
        return lambda text: text.startswith(head)
    match = re.compile(fnmatch.translate(pattern.replace("[", "[[]"))).match
    return lambda text: match(text) is not None
