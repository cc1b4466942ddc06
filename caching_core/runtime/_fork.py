"""Tell objects that they woke up in a forked child, where locks and threads of the parent mean nothing."""

import os
import weakref
from collections.abc import Callable

Method = Callable[[], None]


class _Children:
    """Who is to be told, in the order in which they asked; under one hook, since Python cannot take a hook back."""

    __slots__ = ("_is_hooked", "_methods")

    def __init__(self) -> None:
        self._methods: dict[weakref.WeakMethod[Method], None] = {}
        self._is_hooked = False

    def add(self, method: Method) -> None:
        self._methods[weakref.WeakMethod(method, self._forget)] = None
        if not self._is_hooked:
            self._is_hooked = True
            os.register_at_fork(after_in_child=self._tell)

    def _forget(self, reference: weakref.WeakMethod[Method]) -> None:
        self._methods.pop(reference, None)

    def _tell(self) -> None:
        for reference in list(self._methods):
            method = reference()
            if method is not None:
                method()


_children = _Children()


def after_fork_in_child(method: Method) -> None:
    """Call a bound method in every forked child, for as long as its object lives.

    It runs before anything else in the child, which has one thread then.
    """
    _children.add(method)
