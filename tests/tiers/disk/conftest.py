"""What the disk tier is given: a runtime of each world, and what stands for a generation, shared through a file."""

import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from caching_core.runtime import BlockingRuntime, LoopRuntime
from caching_core.tiers.disk import DiskEvent, DiskStore


class LinkGeneration:
    """A generation that all processes share: the target of a symbolic link, replaced in one step."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        self.link = directory / "generation"
        self.reasons: list[str] = []
        self.broken = False
        try:
            self.link.symlink_to("g-0")
        except FileExistsError:
            pass

    def current(self) -> str:
        return os.readlink(self.link)  # noqa: PTH115  one call, no Path made: it stands for a cheap read

    def void(self, seen: str, reason: str) -> str:
        if self.broken:
            raise OSError(5, "Input/output error")
        self.reasons.append(reason)
        if self.current() == seen:
            draft = self.link.with_name(f"draft-{os.getpid()}-{os.urandom(4).hex()}")
            draft.symlink_to(f"g-{os.urandom(4).hex()}")
            draft.rename(self.link)
        return self.current()


class Bench:
    """One directory with its store, the generation and the events heard."""

    def __init__(self, root: Path) -> None:
        self.directory = root / "cache"
        self.generation = LinkGeneration(root / "shared")
        self.events: list[DiskEvent] = []
        self._stores: list[DiskStore] = []

    def open(self, world: str = "blocking", **options: object) -> DiskStore:
        settings = {
            "max_bytes": 64 << 20,
            "deadline": 1.0,
            "now_ms": lambda: time.monotonic_ns() // 1_000_000,
            "on_event": self.events.append,
        } | options
        runtime = BlockingRuntime() if world == "blocking" else LoopRuntime()
        store = DiskStore(self.directory, generation=self.generation, runtime=runtime, **settings)
        self._stores.append(store)
        return store

    def path(self, generation: str | None = None) -> Path:
        return self.directory / f"cache-{generation or self.generation.current()}.db"

    def heard(self, kind: type) -> list[DiskEvent]:
        return [event for event in self.events if isinstance(event, kind)]

    def close(self) -> None:
        while self._stores:
            self._stores.pop().close()


def fork(work: Callable[[], object]) -> int:
    """Fork; the child does ``work`` and ends 0, or 1 with a traceback."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001  whatever it was, the child ends here
        traceback.print_exc()
    finally:
        os._exit(code)


def exit_code(pid: int) -> int:
    """Wait for a child and return its exit code (negative: the signal)."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def child() -> Callable[[Callable[[], object]], int]:
    return fork


@pytest.fixture
def ended() -> Callable[[int], int]:
    return exit_code


@pytest.fixture
def bench(tmp_path: Path):
    made = Bench(tmp_path)
    yield made
    made.close()


@pytest.fixture
def make_bench() -> Callable[[Path], Bench]:
    return Bench
