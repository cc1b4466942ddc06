"""The disk tier passes the contract of a store."""

from pathlib import Path

from caching_core.runtime import BlockingRuntime, LoopRuntime
from caching_core.testing import ManualClock, TierContract, World
from caching_core.testing._frames import a_frame
from caching_core.tiers.disk import DiskStore


class OneGeneration:
    def current(self) -> str:
        return "g-0"

    def void(self, seen: str, reason: str) -> str:
        raise AssertionError(f"nothing of the contract voids a store: {reason}")


class TestDiskStore(TierContract):
    def open_store(self, world: World, clock: ManualClock, directory: Path) -> DiskStore:
        runtime = BlockingRuntime() if world == "blocking" else LoopRuntime()
        return DiskStore(directory, generation=OneGeneration(), runtime=runtime, max_bytes=64 << 20, now_ms=clock.now_ms)

    async def test_it_puts_now_where_nobody_writes(self, world, tmp_path):
        """What the contract leaves open: most puts of this store take the quick way."""
        store = self.open_store(world, ManualClock(), tmp_path / "store")
        await store.mutate([])
        assert store.put_now("cc:{acme}:default:k", a_frame(1), None, 1)
        store.close()
