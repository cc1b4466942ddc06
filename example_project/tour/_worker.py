"""One process of the tour: holds a cache manager on the shared directory and does what its standard input says.

A line of JSON comes in, a line of JSON goes out: ``{"do": name, …}`` and ``{"value": …}`` or ``{"error": text}``.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from caching_core import SyncCacheManager
from caching_core.runtime import bound_to_parent
from example_project.tour._payload import payload

Order = dict[str, Any]  # JSON, as the crew wrote it


def settings(directory: str) -> dict[str, Any]:  # a configuration mapping holds values of any type
    """Return the configuration that every process of the tour shares."""
    return {"directory": directory, "l1_max_size": 5_000, "disk_max_bytes": 256 << 20}


class Worker:
    """The orders that a process of the tour understands, one method each."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._manager = SyncCacheManager(settings(directory))
        self._manager.start()
        self._children: list[subprocess.Popen[bytes]] = []

    def serve(self) -> None:
        """Answer orders until the input ends, then close the cache."""
        orders: dict[str, Callable[[Order], object]] = {
            "call": self.call,
            "mutate": self.mutate,
            "herd": self.herd,
            "hire_writer": self.hire_writer,
            "ping": self.ping,
            "flush_audit": self.flush_audit,
        }
        try:
            for line in sys.stdin:
                order = json.loads(line)
                try:
                    answer: Order = {"value": orders[order["do"]](order)}
                except Exception as problem:  # noqa: BLE001 - the worker's border: the crew hears what went wrong
                    answer = {"error": f"{type(problem).__name__}: {problem}"}
                print(json.dumps(answer), flush=True)
        finally:
            self._manager.close()

    def call(self, order: Order) -> object:
        """Call one method of a tenant's handle."""
        handle = self._manager.tenant(order["tenant"])
        value = getattr(handle, order["method"])(*order["args"], **order["options"])
        return value if isinstance(value, dict | list | str | int | float | None) else str(value)

    def mutate(self, order: Order) -> object:
        """Change a value that was read, in place, and read again."""
        handle = self._manager.tenant(order["tenant"])
        value = handle.get(order["key"])
        value["list"].append("changed")
        value["more"] = "changed"
        return handle.get(order["key"])

    def herd(self, order: Order) -> object:
        """Ask for one cold key from many threads at one moment; each load leaves a line in a file."""
        handle = self._manager.tenant(order["tenant"])

        def load() -> dict[str, int]:
            append(order["log"], f"{os.getpid()}\n")
            time.sleep(0.2)
            return {"loaded_by": os.getpid()}

        def ask(_: int) -> object:
            # CLOCK_MONOTONIC is one clock for all processes of the host.
            time.sleep(max(0.0, order["at"] - time.monotonic()))
            return handle.get_or_set(order["key"], load, ttl=60)

        with ThreadPoolExecutor(order["threads"]) as pool:
            return list(pool.map(ask, range(order["threads"])))

    def hire_writer(self, order: Order) -> object:
        """Start a process that writes without end; it is the crew's grandchild."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("children are started from the main thread")
        command = [sys.executable, "-m", "example_project.tour._worker", "write", self._directory, order["tenant"], order["log"]]
        child = subprocess.Popen(bound_to_parent(command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self._children.append(child)
        return child.pid

    def ping(self, _: Order) -> object:
        """Say that this process has started."""
        return os.getpid()

    def flush_audit(self, _: Order) -> object:
        """Have every audit record of this process on disk."""
        self._manager.flush_audit()
        return None


def append(path: str, text: str) -> None:
    """Add a line whole: one write in append mode is not torn by others or by a kill."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


def write_without_end(directory: str, tenant: str, log: str) -> None:
    """Store value after value; note each number once its ``set`` has returned."""
    with SyncCacheManager(settings(directory)) as manager:
        handle = manager.tenant(tenant)
        number = 0
        while Path(directory).exists():
            handle.set(f"writer:{number}", payload(number), ttl=600)
            append(log, f"{number}\n")
            number += 1


if __name__ == "__main__":
    # Ctrl-C on the terminal reaches every process of the group; the supervisor alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.argv[1] == "write":
        write_without_end(*sys.argv[2:])
    else:
        Worker(sys.argv[2]).serve()
