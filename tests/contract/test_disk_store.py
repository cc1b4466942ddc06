"""The disk tier passes the contract of a store."""

import asyncio
import time
from pathlib import Path

from caching_core.testing import ManualClock, StoreContract, World
from caching_core.tiers.disk import DiskStore


class BlockingRuntime:
    now = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251  the blocking world blocks


class LoopRuntime:
    now = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class OneGeneration:
    def current(self) -> str:
        return "g-0"

    def void(self, seen: str, reason: str) -> str:
        raise AssertionError(f"nothing of the contract voids a store: {reason}")


class TestDiskStore(StoreContract):
    def open_store(self, world: World, clock: ManualClock, directory: Path) -> DiskStore:
        runtime = BlockingRuntime() if world == "blocking" else LoopRuntime()
        return DiskStore(directory, generation=OneGeneration(), runtime=runtime, max_bytes=64 << 20, now_ms=clock.now_ms)
