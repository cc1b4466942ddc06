"""The engines of this process by configuration: the one place that holds process-wide state.

Frameworks make cache objects per thread, task and alias; equal configurations share one engine through
here. It is opened on first use, kept through a fork with the child's own locks, and closed by its last
user or at exit.
"""

import atexit
import os
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

from caching_core.assembly._from_config import may_be_away
from caching_core.assembly._instance import Instance
from caching_core.assembly._place import is_server_away
from caching_core.config import CacheConfig, fingerprint
from caching_core.errors import KeyUnavailable, TierUnavailable

T = TypeVar("T")


@dataclass(slots=True)
class _Shared:
    instance: Instance
    users: int = 0


class _Registry:
    """Instances by fingerprint, and how many managers use each."""

    def __init__(self) -> None:
        self._mutex = threading.RLock()
        self._shared: dict[str, _Shared] = {}
        self._kept: dict[Hashable, Any] = {}  # Any: of the types that the callers know

    def keep(self, name: Hashable, make: Callable[[], T]) -> T:
        kept: T | None = self._kept.get(name)
        if kept is None:
            with self._mutex:
                kept = self._kept.get(name)
                if kept is None:
                    kept = self._kept[name] = make()
        return kept

    def acquire(self, config: CacheConfig, keep: Callable[[Instance], None] | None, *, is_patient: bool) -> Instance:
        name = fingerprint(config)
        with self._mutex:
            shared = self._shared.get(name)
            if shared is None:
                shared = self._shared[name] = _Shared(self._opened(config, is_patient=is_patient))
            shared.users += 1
            if keep is not None:
                keep(shared.instance)
        return shared.instance

    def _opened(self, config: CacheConfig, *, is_patient: bool) -> Instance:
        try:
            return Instance(config, renew=self.renew)
        except (KeyUnavailable, TierUnavailable) as error:
            if not (is_patient or (may_be_away(config) and is_server_away(error))):
                raise
            return Instance(config, renew=self.renew, away=error)

    def renew(self, lost: Instance) -> None:
        lost.ahead.reach()  # before anything is held up: it may take longer than a call may
        with self._mutex:
            shared = next((shared for shared in self._shared.values() if shared.instance is lost), None)
            if shared is None:  # closed, or renewed by another thread
                lost.ahead.close()
                return
            shared.instance = Instance(lost.config, renew=self.renew, after=lost)
            lost.hand_over(shared.instance)
        lost.close()
        shared.instance.begin()

    def release(self, instance: Instance) -> None:
        with self._mutex:
            instance = newest(instance)
            for name, shared in list(self._shared.items()):
                if shared.instance is instance:
                    shared.users -= 1
                    if shared.users > 0:
                        return
                    del self._shared[name]
                    break
            else:
                return
        instance.close()

    def before_fork(self) -> None:
        """Wait until nothing is being opened, closed or numbered: a child would inherit it half done, and its locks."""
        self._mutex.acquire()
        for shared in self._shared.values():
            shared.instance.before_fork()

    def after_fork_in_parent(self) -> None:
        for shared in self._shared.values():
            shared.instance.after_fork_in_parent()
        self._mutex.release()

    def after_fork_in_child(self) -> None:
        self._mutex = threading.RLock()
        for shared in self._shared.values():
            shared.instance.after_fork()

    def close(self) -> None:
        with self._mutex:
            instances = [shared.instance for shared in self._shared.values()]
            self._shared.clear()
        for instance in instances:
            instance.close()


def newest(instance: Instance) -> Instance:
    """Return what took the place of an instance, or itself."""
    while instance.successor is not None:
        instance = instance.successor
    return instance


_registry = _Registry()
os.register_at_fork(
    before=_registry.before_fork, after_in_parent=_registry.after_fork_in_parent, after_in_child=_registry.after_fork_in_child
)
atexit.register(_registry.close)


def acquire(config: CacheConfig, keep: Callable[[Instance], None] | None = None, *, is_patient: bool = False) -> Instance:
    """Return the instance of this configuration, opened if it is the first; pair with ``release``.

    ``keep`` is called with it before anybody can fork: a child then never counts a user who does not know of it.
    With ``is_patient`` a fault that may pass (KeyUnavailable, TierUnavailable) does not raise: the instance is lost until
    it can be opened. A server that is away never raises here, unless the configuration is strict.
    """
    return _registry.acquire(config, keep, is_patient=is_patient)


def renew(lost: Instance) -> None:
    """Open a lost instance now. Raises as opening does."""
    _registry.renew(lost)


def keep(name: Hashable, make: Callable[[], T]) -> T:
    """Return what was made under this name in this process, made now if nothing was; kept until the process ends.

    For frameworks that make an object per thread and task, all of which are to share what ``make`` returns.
    """
    return _registry.keep(name, make)


def release(instance: Instance) -> None:
    """Say that one user is done; the last one closes the instance."""
    _registry.release(instance)


def close_all() -> None:
    """Close every instance of this process, whoever uses it, as at its exit: for processes that end without one.

    A child of a pool that leaves by ``os._exit`` runs nothing that was registered for its exit.
    """
    _registry.close()
