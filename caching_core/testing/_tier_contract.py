"""The contract of an authoritative tier, as tests: every store passes them, ours and yours."""

from pathlib import Path

import pytest

from caching_core.errors import TierUnavailable
from caching_core.testing._clock import ManualClock
from caching_core.testing._frames import FRESH, NAME, OTHER, STALE, THEIRS, TOKEN, YEAR, a_frame, nonce_of
from caching_core.testing._stage import Stage, World, driven
from caching_core.testing._write_contract import WriteContract
from caching_core.tiers._protocol import UNKNOWN, BumpNamespace, BumpTags, Delete, Expect, MarkStale, NewEpoch, Put, Store


class TierContract(WriteContract):
    """What every store does; derive from it in a test module and say how yours is opened.

    ::

        class TestMyStore(TierContract):
            def open_store(self, world, clock, directory):
                return MyStore(directory, runtime=..., now_ms=clock.now_ms)

    Each test runs in the blocking world and on an event loop. Calls of ``open_store`` with one directory
    must reach the same data. Needs pytest.
    """

    def open_store(self, world: World, clock: ManualClock, directory: Path) -> Store:
        """Open the store under test, on this clock, for this world (``"blocking"`` or ``"loop"``)."""
        raise NotImplementedError("say how to open your store: override open_store")

    margin = 0.001
    """Seconds before a limit at which a row is still looked for; more for a store that also has a clock of its own."""

    is_exact = True
    """Whether ``usage`` tells entries, their bytes and what expired exactly."""

    def make_clock(self) -> ManualClock:
        """Make the clock of one test; a store that keeps time elsewhere overrides this, so that ``advance`` moves that too."""
        return ManualClock()

    @pytest.fixture(params=["blocking", "loop"])
    def stage(self, request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
        """Set the stage for one test."""
        clock = self.make_clock()
        return Stage(request.param, clock, lambda: self.open_store(request.param, clock, tmp_path / "store"))

    # Frames

    @driven
    async def test_a_name_never_put_is_a_miss(self, stage: Stage) -> None:
        """``get`` answers None."""
        assert await stage.store.get(NAME) is None

    @driven
    async def test_what_was_put_comes_back_behind_a_fresh_mark(self, stage: Stage) -> None:
        """Also empty and large frames, also through another store over the same data."""
        for frame in (a_frame(), b"", bytes(range(256)) * 4096):
            changed = await stage.store.mutate([Put(NAME, frame, None)])
            assert list(changed.done) == [True]
            assert changed.now_ms == stage.clock.now_ms() == stage.store.now_ms()
            assert await stage.store.get(NAME) == FRESH + frame
            assert await stage.open().get(NAME) == FRESH + frame

    @driven
    async def test_get_many_answers_in_order(self, stage: Stage) -> None:
        """With None for misses, and twice what is asked for twice."""
        await stage.store.mutate([Put(NAME, a_frame(1), None), Put(OTHER, a_frame(2), None)])
        found = await stage.store.get_many([OTHER, "cc:none", NAME, OTHER])
        assert found == [FRESH + a_frame(2), None, FRESH + a_frame(1), FRESH + a_frame(2)]
        assert await stage.store.get_many([]) == []

    @driven
    async def test_a_row_ends_when_its_time_comes(self, stage: Stage) -> None:
        """To the millisecond, for every way to ask; one without a limit stays for years."""
        store = stage.store
        await store.mutate([Put(NAME, a_frame(), store.now_ms() + 1000), Put(OTHER, a_frame(), None)])
        stage.clock.advance(1 - self.margin)
        assert await store.get(NAME) is not None
        stage.clock.advance(self.margin)
        assert await store.get(NAME) is None
        assert await store.get_many([NAME]) == [None]
        assert await store.names("cc:") == [OTHER]
        assert list((await store.mutate([MarkStale(NAME), Delete(NAME)])).done) == [False, False]
        assert (await store.lease(NAME, TOKEN, 1000, tenant="acme", bad=None, fields=[])).granted
        assert list((await store.mutate([Put(NAME, a_frame(), None, expect=Expect.ABSENT)])).done) == [True]
        stage.clock.advance(10 * YEAR)
        assert await store.get(OTHER) is not None

    @driven
    async def test_no_jump_of_the_wall_clock_moves_a_limit(self, stage: Stage) -> None:
        """Neither forward nor back."""
        await stage.store.mutate([Put(NAME, a_frame(), stage.store.now_ms() + 1000)])
        stage.clock.jump_wall(3600)
        assert await stage.store.get(NAME) is not None
        stage.clock.jump_wall(-7200)
        stage.clock.advance(1)
        assert await stage.store.get(NAME) is None

    @driven
    async def test_delete_removes_and_says_whether_it_was_there(self, stage: Stage) -> None:
        """The second finds nothing."""
        await stage.store.mutate([Put(NAME, a_frame(), None), Put(OTHER, a_frame(), None)])
        assert list((await stage.store.mutate([Delete(NAME)])).done) == [True]
        assert list((await stage.store.mutate([Delete(NAME)])).done) == [False]
        assert await stage.store.get(NAME) is None
        assert await stage.store.get(OTHER) is not None

    @driven
    async def test_mark_stale_sets_the_mark_alone_until_the_next_put(self, stage: Stage) -> None:
        """The frame and its limit stay."""
        store = stage.store
        await store.mutate([Put(NAME, a_frame(), store.now_ms() + 1000)])
        assert list((await store.mutate([MarkStale(NAME), MarkStale(OTHER)])).done) == [True, False]
        assert await store.get(NAME) == STALE + a_frame()
        assert await store.get(OTHER) is None
        await store.mutate([Put(NAME, a_frame(2), store.now_ms() + 1000)])
        assert await store.get(NAME) == FRESH + a_frame(2)
        await store.mutate([MarkStale(NAME)])
        stage.clock.advance(1)
        assert await store.get(NAME) is None

    @driven
    async def test_peek_answers_as_get_or_not_at_all(self, stage: Stage) -> None:
        """Hit, stale, deleted, never put; past its time it may still be there; and a closed store knows nothing."""
        store = stage.store
        await store.mutate([Put(NAME, a_frame(), store.now_ms() + 1000), MarkStale(NAME), Put(OTHER, a_frame(), None)])
        for name in (NAME, OTHER, "cc:none"):
            assert store.peek(name) in {await store.get(name), UNKNOWN}
        standing = await store.get(NAME)
        stage.clock.advance(1.0)
        assert store.peek(NAME) in {standing, None, UNKNOWN}
        await stage.open().mutate([Delete(OTHER)])
        assert store.peek(OTHER) in {None, UNKNOWN}
        store.close()
        assert store.peek(OTHER) is UNKNOWN

    # Leases

    @driven
    async def test_one_loads_and_others_are_told_so(self, stage: Stage) -> None:
        """Until the lease runs out."""
        mine = await stage.store.lease(NAME, TOKEN, 1000, tenant="acme", bad=None, fields=[])
        assert (mine.granted, mine.frame) == (True, None)
        assert mine.ledger is not None
        assert mine.now_ms == stage.clock.now_ms()
        theirs = await stage.open().lease(NAME, THEIRS, 1000, tenant="acme", bad=None, fields=[])
        assert (theirs.granted, theirs.frame) == (False, None)
        assert (await stage.store.lease(OTHER, THEIRS, 1000, tenant="acme", bad=None, fields=[])).granted
        stage.clock.advance(1)
        assert (await stage.store.lease(NAME, THEIRS, 1000, tenant="acme", bad=None, fields=[])).granted
        assert list((await stage.store.mutate([Put(NAME, a_frame(), None, token=TOKEN)])).done) == [False]

    @driven
    async def test_a_lease_brings_what_stands_unless_it_is_bad(self, stage: Stage) -> None:
        """Also to who asks while another loads."""
        store = stage.store
        await store.mutate([Put(NAME, a_frame(7), None), MarkStale(NAME)])
        for bad in (None, nonce_of(8)):
            found = await store.lease(NAME, TOKEN, 1000, tenant="acme", bad=bad, fields=[])
            assert (found.granted, found.frame) == (False, STALE + a_frame(7))
        assert (await store.lease(NAME, TOKEN, 1000, tenant="acme", bad=nonce_of(7), fields=[])).granted
        other = await store.lease(NAME, THEIRS, 1000, tenant="acme", bad=nonce_of(7), fields=[])
        assert (other.granted, other.frame) == (False, None)
        assert (await store.lease(NAME, THEIRS, 1000, tenant="acme", bad=None, fields=[])).frame == STALE + a_frame(7)

    @driven
    async def test_a_fill_needs_its_living_token_and_ends_the_lease(self, stage: Stage) -> None:
        """Once; without a lease, with another's token or too late nothing is stored."""
        store = stage.store
        fill = Put(NAME, a_frame(), None, token=TOKEN)
        assert list((await store.mutate([fill])).done) == [False]
        await store.lease(NAME, TOKEN, 1000, tenant="acme", bad=None, fields=[])
        assert list((await store.mutate([Put(NAME, a_frame(), None, token=THEIRS)])).done) == [False]
        assert await store.get(NAME) is None
        assert list((await store.mutate([fill])).done) == [True]
        assert await store.get(NAME) == FRESH + a_frame()
        assert list((await store.mutate([fill])).done) == [False]
        await store.lease(OTHER, TOKEN, 1000, tenant="acme", bad=None, fields=[])
        stage.clock.advance(1)
        assert list((await store.mutate([Put(OTHER, a_frame(), None, token=TOKEN)])).done) == [False]

    @driven
    async def test_set_and_delete_void_the_lease(self, stage: Stage) -> None:
        """So that a value loaded before them is not stored after them; the next may load at once."""
        store = stage.store
        for change in (Put(NAME, a_frame(2), None), Delete(NAME)):
            await store.lease(NAME, TOKEN, 1000, tenant="acme", bad=nonce_of(2), fields=[])
            await stage.open().mutate([change])
            assert list((await store.mutate([Put(NAME, a_frame(), None, token=TOKEN)])).done) == [False]
        assert (await store.lease(NAME, THEIRS, 1000, tenant="acme", bad=None, fields=[])).granted

    @driven
    async def test_release_ends_only_ones_own_lease(self, stage: Stage) -> None:
        """Another's token does nothing, and twice is harmless."""
        store = stage.store
        await store.lease(NAME, TOKEN, 1000, tenant="acme", bad=None, fields=[])
        await store.release(NAME, THEIRS)
        assert not (await store.lease(NAME, THEIRS, 1000, tenant="acme", bad=None, fields=[])).granted
        await store.release(NAME, TOKEN)
        await store.release(NAME, TOKEN)
        assert list((await store.mutate([Put(NAME, a_frame(), None, token=TOKEN)])).done) == [False]
        assert (await store.lease(NAME, THEIRS, 1000, tenant="acme", bad=None, fields=[])).granted

    # Conditions

    @driven
    async def test_put_and_delete_compare_the_nonce(self, stage: Stage) -> None:
        """A refused one changes nothing, and leaves the lease alive."""
        store = stage.store
        await store.mutate([Put(NAME, a_frame(1), None)])
        await store.lease(NAME, TOKEN, 1000, tenant="acme", bad=nonce_of(1), fields=[])
        refused = [Put(NAME, a_frame(3), None, expect=nonce_of(2)), Put(NAME, a_frame(3), None, expect=Expect.ABSENT)]
        assert list((await store.mutate([*refused, Delete(NAME, expect=nonce_of(2))])).done) == [False, False, False]
        assert await store.get(NAME) == FRESH + a_frame(1)
        assert list((await store.mutate([Put(NAME, a_frame(2), None, token=TOKEN)])).done) == [True]
        assert list((await store.mutate([Put(NAME, a_frame(3), None, expect=nonce_of(2))])).done) == [True]
        assert list((await store.mutate([Delete(NAME, expect=nonce_of(3))])).done) == [True]
        assert list((await store.mutate([Put(NAME, a_frame(4), None, expect=nonce_of(3))])).done) == [False]
        assert list((await store.mutate([Put(NAME, a_frame(4), None, expect=Expect.ABSENT)])).done) == [True]

    @driven
    async def test_a_put_that_comes_too_late_is_refused(self, stage: Stage) -> None:
        """By the store's clock; on the last millisecond it is in time."""
        store = stage.store
        limit = store.now_ms() + 50
        stage.clock.advance(0.05)
        assert list((await store.mutate([Put(NAME, a_frame(1), None, not_after_ms=limit)])).done) == [True]
        stage.clock.advance(0.001)
        late = await store.mutate([Put(NAME, a_frame(2), None, not_after_ms=limit)])
        assert (list(late.done), late.now_ms) == ([False], limit + 1)
        assert await store.get(NAME) == FRESH + a_frame(1)

    @driven
    async def test_a_batch_is_done_in_order_and_a_refusal_stops_nothing(self, stage: Stage) -> None:
        """Entries and ledger together, seen together."""
        store = stage.store
        await store.mutate([Put(OTHER, a_frame(9), None)])
        changed = await store.mutate(
            [
                Put(NAME, a_frame(1), None),
                Put(NAME, a_frame(2), None, expect=nonce_of(5)),
                Put(NAME, a_frame(3), None, expect=nonce_of(1)),
                MarkStale(NAME),
                Delete(OTHER),
            ],
            [BumpTags("acme", ("a",)), BumpNamespace("acme", "default")],
        )
        assert list(changed.done) == [True, False, True, True, True]
        assert await stage.open().get_many([NAME, OTHER]) == [STALE + a_frame(3), None]
        assert (await store.ledger("acme", ["t:a", "n:default"])).fields == {"t:a": 1, "n:default": 2}
        empty = await store.mutate([])
        assert (list(empty.done), empty.now_ms) == ([], store.now_ms())

    # The ledger

    @driven
    async def test_a_ledger_is_made_on_first_use_and_stays(self, stage: Stage) -> None:
        """With an epoch of its own per tenant."""
        first = await stage.store.ledger("acme", ["t:a"])
        assert len(first.epoch) >= 8
        assert (first.seq, first.floor, dict(first.fields)) == (0, 0, {})
        assert await stage.open().ledger("acme", []) == first
        assert (await stage.store.ledger("globex", [])).epoch != first.epoch

    @driven
    async def test_tags_take_the_next_number(self, stage: Stage) -> None:
        """Soft ones in fields of their own; of a tenant only; only what is asked for comes back."""
        store = stage.store
        await store.mutate([], [BumpTags("acme", ("a", "b"))])
        await store.mutate([], [BumpTags("acme", ("b", "c"), soft=True)])
        await store.mutate([], [BumpTags("globex", ("a",)), BumpTags("acme", ("a", "a"))])
        names = [f"{kind}:{tag}" for kind in "ts" for tag in "abcdefgh"]
        read = await store.ledger("acme", names)
        assert (read.seq, read.fields) == (3, {"t:a": 3, "t:b": 1, "s:b": 2, "s:c": 2})
        assert (await store.ledger("acme", ["t:b"])).fields == {"t:b": 1}
        assert (await store.ledger("globex", names)).fields == {"t:a": 1}

    @driven
    async def test_a_lease_brings_the_ledger(self, stage: Stage) -> None:
        """Read in the same step."""
        await stage.store.mutate([], [BumpTags("acme", ("a",)), BumpNamespace("acme", "default")])
        lease = await stage.store.lease(NAME, TOKEN, 1000, tenant="acme", bad=None, fields=["t:a", "t:b", "n:default"])
        assert lease.ledger == await stage.store.ledger("acme", ["t:a", "t:b", "n:default"])
        assert lease.ledger is not None
        assert lease.ledger.fields == {"t:a": 1, "n:default": 2}

    @driven
    async def test_a_new_epoch_forgets_everything_of_its_tenant(self, stage: Stage) -> None:
        """And of no other; softly, the epoch stays and one field says it."""
        store = stage.store
        await store.mutate([], [BumpTags("acme", ("a",)), BumpTags("globex", ("a",))])
        before = await store.ledger("acme", [])
        await store.mutate([], [NewEpoch("acme", soft=True)])
        soft = await store.ledger("acme", ["t:a", "s:@all"])
        assert (soft.epoch, soft.seq, soft.fields) == (before.epoch, 2, {"t:a": 1, "s:@all": 2})
        await store.mutate([], [NewEpoch("acme")])
        after = await store.ledger("acme", ["t:a", "s:@all"])
        assert after.epoch != before.epoch
        assert (after.seq, after.floor, dict(after.fields)) == (0, 0, {})
        assert (await store.ledger("globex", ["t:a"])).fields == {"t:a": 1}

    @driven
    async def test_a_ledger_is_bounded_and_what_it_forgets_stays_invalid(self, stage: Stage) -> None:
        """The floor stands for every field that was dropped; what is newer than it is kept."""
        store, step = stage.store, 5000
        await store.mutate([], [BumpNamespace("acme", "default"), NewEpoch("acme", soft=True)])
        for start in range(0, 105_000, step):
            await store.mutate([], [BumpTags("acme", tuple(f"tag-{start + i}" for i in range(step)))])
        await store.maintain()
        read = await store.ledger("acme", ["t:tag-0", "t:tag-104999", "n:default", "s:@all"])
        assert read.seq == 2 + 105_000 // step
        assert 3 <= read.floor < read.seq
        assert read.fields == {"t:tag-104999": read.seq, "n:default": 1, "s:@all": 2}

    # The whole

    @driven
    async def test_names_are_listed_by_prefix_in_order(self, stage: Stage) -> None:
        """Page by page; nothing in a prefix is a wildcard."""
        store = stage.store
        wanted = [f"cc:a_{sign}" for sign in ("%", "_", "x", "é", "\U0001f600", "\U0010ffff")]
        await store.mutate([Put(name, a_frame(), None) for name in [*wanted, "cc:ab", "cc:a", "cd", "CC:A_x"]])
        assert await store.names("cc:a_") == sorted(wanted)
        assert await store.names("cc:a_", limit=2) == sorted(wanted)[:2]
        assert await store.names("cc:a_", after=sorted(wanted)[1]) == sorted(wanted)[2:]
        assert await store.names("cc:a_\U0010ffff") == ["cc:a_\U0010ffff"]
        assert await store.names("cc:%") == []
        assert len(await store.names("")) == 10
        await store.mutate([Put("ce\ud7ff", a_frame(), None), Put("ce\ue000", a_frame(), None)])
        assert await store.names("ce\ud7ff") == ["ce\ud7ff"]

    @driven
    async def test_usage_counts_what_lives(self, stage: Stage) -> None:
        """And what expired and was removed by upkeep."""
        store = stage.store
        assert (await store.usage()).entries == 0
        if not self.is_exact:
            return
        short = store.now_ms() + 1000
        await store.mutate([Put(NAME, a_frame(), None), Put(OTHER, a_frame(), short), Put("cc:3", a_frame(), short)])
        before = await store.usage()
        assert (before.entries, before.frame_bytes) == (3, 3 * len(a_frame()))
        assert before.stored_bytes >= before.frame_bytes
        stage.clock.advance(1)
        await store.maintain()
        after = await store.usage()
        assert (after.entries, after.frame_bytes, after.expired, after.evicted) == (1, len(a_frame()), 2, 0)
        assert await store.get(NAME) == FRESH + a_frame()

    @driven
    async def test_a_closed_store_says_so(self, stage: Stage) -> None:
        """Every call raises TierUnavailable, also an invalidation; another store goes on; closing twice is harmless."""
        store, other = stage.store, stage.open()
        await store.mutate([Put(NAME, a_frame(), None)])
        store.close()
        store.close()
        with pytest.raises(TierUnavailable):
            await store.get(NAME)
        with pytest.raises(TierUnavailable):
            await store.mutate([Put(NAME, a_frame(), None)])
        with pytest.raises(TierUnavailable):
            await store.mutate([Delete(NAME)], [NewEpoch("acme")])
        assert await other.get(NAME) == FRESH + a_frame()
