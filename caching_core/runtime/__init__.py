"""The two worlds that drive the one engine, and the threads and locks that the layers above are not to make themselves."""

from threading import Lock as Mutex

from caching_core.runtime._blocking import BlockingRuntime, ThreadWaiter
from caching_core.runtime._fork import after_fork_in_child
from caching_core.runtime._loop import LoopRuntime, TaskWaiter
from caching_core.runtime._periodic import PeriodicWorker
from caching_core.runtime._port import Runtime, Waiter
from caching_core.runtime._run import run_sync

__all__ = [
    "BlockingRuntime",
    "LoopRuntime",
    "Mutex",
    "PeriodicWorker",
    "Runtime",
    "TaskWaiter",
    "ThreadWaiter",
    "Waiter",
    "after_fork_in_child",
    "run_sync",
]
