"""A queue of writers is no writer that hangs: an invalidation waits in it instead of giving up the store."""

import sqlite3

import pytest

from caching_core.runtime import run_sync
from caching_core.tiers import Delete, Put
from caching_core.tiers.disk import DiskStore


class Turns:
    """A runtime whose every pause is one turn of another writer: commit, and begin again, ``turns`` times."""

    blocks = False

    def __init__(self, turn, turns: int) -> None:
        self._turn = turn
        self._left = turns
        self._now = 0.0

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self._now += 0.03
        if self._left:
            self._left -= 1
            self._turn(last=not self._left)


@pytest.fixture
def contended(bench):
    """Yield a maker of stores, and a function by which another connection writes without a gap."""
    first = bench.open()
    run_sync(first.mutate([Put("k", b"f" * 100, None)]))
    other = sqlite3.connect(bench.path(), isolation_level=None)

    def write() -> None:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT OR REPLACE INTO leases(name, token, until) VALUES('other', randomblob(8), 1)")

    def open_store(turn, turns: int) -> DiskStore:
        return DiskStore(
            bench.directory,
            generation=bench.generation,
            runtime=Turns(turn, turns),
            max_bytes=64 << 20,
            deadline=0.05,
            now_ms=lambda: 1,
            on_event=bench.events.append,
        )

    write()
    yield open_store, other, write
    other.close()


def test_while_others_commit_a_delete_waits_its_turn(bench, contended):
    open_store, other, write = contended

    def turn(*, last: bool) -> None:
        other.execute("COMMIT")
        if not last:
            write()

    store = open_store(turn, 30)  # 0.9 s of the runtime's clock: many deadlines
    assert run_sync(store.mutate([Delete("k")])).done == [True]
    assert bench.generation.reasons == []
    store.close()


def test_a_writer_that_commits_nothing_is_not_waited_for(bench, contended):
    open_store, _, _ = contended
    store = open_store(lambda *, last: None, 1000)
    assert run_sync(store.mutate([Delete("k")])).done == [True]
    assert len(bench.generation.reasons) == 1, "the store was voided: nothing older can be read"
    store.close()
