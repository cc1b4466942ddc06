"""The disk tier passes the contract of a store."""

from pathlib import Path

from caching_core.runtime import BlockingRuntime, LoopRuntime
from caching_core.testing import ManualClock, StoreContract, World
from caching_core.tiers.disk import DiskStore


class OneGeneration:
    def current(self) -> str:
        return "g-0"

    def void(self, seen: str, reason: str) -> str:
        raise AssertionError(f"nothing of the contract voids a store: {reason}")


class TestDiskStore(StoreContract):
    def open_store(self, world: World, clock: ManualClock, directory: Path) -> DiskStore:
        runtime = BlockingRuntime() if world == "blocking" else LoopRuntime()
        return DiskStore(directory, generation=OneGeneration(), runtime=runtime, max_bytes=64 << 20, now_ms=clock.now_ms)
