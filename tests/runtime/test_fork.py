"""Forked children: who asked is told, in order, and leaves nothing behind when it is gone."""

import gc
import os

from caching_core.runtime import BlockingRuntime, after_fork_in_child
from caching_core.runtime._fork import _children


class Told:
    """Writes its name to a pipe when it is told."""

    def __init__(self, name, pipe):
        self._name = name
        self._pipe = pipe
        after_fork_in_child(self.tell)

    def tell(self):
        os.write(self._pipe, self._name)


def told_in_a_child(pipe):
    child = os.fork()
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    os.write(pipe[1], b".")
    return os.read(pipe[0], 100)


def test_those_who_live_are_told_in_order():
    pipe = os.pipe()
    held = [Told(name, pipe[1]) for name in (b"a", b"b", b"c")]
    assert told_in_a_child(pipe) == b"abc."
    del held[1]
    gc.collect()
    assert told_in_a_child(pipe) == b"ac."


def test_objects_that_are_gone_are_forgotten_and_need_no_hook_each(monkeypatch):
    registered = []
    monkeypatch.setattr(os, "register_at_fork", lambda **hooks: registered.append(hooks))
    gc.collect()
    before = len(_children._methods)
    for _ in range(100):
        BlockingRuntime()
    gc.collect()
    assert len(_children._methods) == before
    assert len(registered) <= 1
