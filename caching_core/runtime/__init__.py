"""The two worlds that drive the one engine, and what is taken of the host: threads, locks, a private place on disk, child processes."""

from threading import Lock as Mutex

from caching_core.runtime._blocking import BlockingRuntime, ThreadWaiter
from caching_core.runtime._fork import after_fork_in_child
from caching_core.runtime._launcher import bound_to_parent
from caching_core.runtime._loop import LoopRuntime, TaskWaiter
from caching_core.runtime._periodic import PeriodicWorker
from caching_core.runtime._port import Runtime, Waiter
from caching_core.runtime._private_place import (
    create_file,
    directory_locked,
    identity,
    own_directory,
    own_file,
    put_in_place,
    refuse_foreign,
    sync_directory,
)
from caching_core.runtime._run import is_driven, run_sync

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
    "bound_to_parent",
    "create_file",
    "directory_locked",
    "identity",
    "is_driven",
    "own_directory",
    "own_file",
    "put_in_place",
    "refuse_foreign",
    "run_sync",
    "sync_directory",
]
