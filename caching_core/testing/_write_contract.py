"""The part of a tier's contract that orders writes: versions, the quick put, and what each does to a lease."""

from caching_core.testing._frames import FRESH, NAME, OTHER, STALE, THEIRS, TOKEN, a_frame, nonce_of
from caching_core.testing._stage import Stage, driven
from caching_core.tiers._protocol import Delete, Expect, MarkStale, Put, Store


async def _put(store: Store, frame: bytes, version_no: int, *, quickly: bool) -> bool:
    """Put as a writer does: quickly where that is known to have happened, else by ``mutate``."""
    if quickly and store.put_now(NAME, frame, None, version_no):
        return True
    return (await store.mutate([Put(NAME, frame, None, version_no=version_no)])).done[0]


class WriteContract:
    """What every store does with writes that overtake each other; a part of TierContract."""

    @driven
    async def test_a_newer_version_stands_whoever_comes_last(self, stage: Stage) -> None:
        """A lower version is refused and changes nothing; an equal and a higher one are stored, by whichever store."""
        store, other = stage.store, stage.open()
        assert list((await store.mutate([Put(NAME, a_frame(5), None, version_no=5)])).done) == [True]
        for expect in (Expect.ANYTHING, nonce_of(5)):
            assert list((await other.mutate([Put(NAME, a_frame(4), None, expect=expect, version_no=4)])).done) == [False]
            assert await store.get(NAME) == FRESH + a_frame(5)
        assert list((await other.mutate([Put(NAME, a_frame(6), None, version_no=5)])).done) == [True]
        assert await store.get(NAME) == FRESH + a_frame(6)
        assert list((await store.mutate([Put(NAME, a_frame(7), None, version_no=6)])).done) == [True]
        assert await other.get(NAME) == FRESH + a_frame(7)

    @driven
    async def test_a_version_ends_with_its_entry(self, stage: Stage) -> None:
        """After a delete every version may be stored: nothing stands that it could be older than."""
        store = stage.store
        await store.mutate([Put(NAME, a_frame(5), None, version_no=5), Delete(NAME)])
        assert list((await store.mutate([Put(NAME, a_frame(4), None, version_no=4)])).done) == [True]
        assert await store.get(NAME) == FRESH + a_frame(4)

    @driven
    async def test_versions_are_compared_change_by_change(self, stage: Stage) -> None:
        """Within a batch as between batches."""
        puts = [Put(NAME, a_frame(number), None, version_no=number) for number in (2, 3, 1)]
        assert list((await stage.store.mutate(puts)).done) == [True, True, False]
        assert await stage.store.get(NAME) == FRESH + a_frame(3)

    @driven
    async def test_a_put_refused_for_its_version_leaves_the_lease(self, stage: Stage) -> None:
        """Who loads goes on: nothing was changed that its value would be older than."""
        store = stage.store
        await store.mutate([Put(NAME, a_frame(5), None, version_no=5)])
        assert (await store.lease(NAME, TOKEN, 1000, tenant="acme", bad=nonce_of(5), fields=[])).granted
        assert list((await store.mutate([Put(NAME, a_frame(4), None, version_no=4)])).done) == [False]
        assert list((await store.mutate([Put(NAME, a_frame(6), None, token=TOKEN, version_no=6)])).done) == [True]
        assert await store.get(NAME) == FRESH + a_frame(6)

    @driven
    async def test_a_fill_is_compared_too(self, stage: Stage) -> None:
        """A value loaded before another was set does not replace it, whatever its lease."""
        store = stage.store
        await store.mutate([Put(NAME, a_frame(5), None, version_no=5)])
        assert (await store.lease(NAME, TOKEN, 1000, tenant="acme", bad=nonce_of(5), fields=[])).granted
        assert list((await store.mutate([Put(NAME, a_frame(4), None, token=TOKEN, version_no=4)])).done) == [False]
        assert await store.get(NAME) == FRESH + a_frame(5)

    @driven
    async def test_put_now_does_what_it_says_it_did(self, stage: Stage) -> None:
        """True: it stands, fresh, until its time, for every store; False: ask ``mutate``."""
        store, other = stage.store, stage.open()
        await store.mutate([Put(NAME, a_frame(1), None, version_no=1), MarkStale(NAME)])
        before = await other.get(NAME)
        put = store.put_now(NAME, a_frame(2), store.now_ms() + 1000, 2)
        assert await other.get(NAME) == (FRESH + a_frame(2) if put else before)
        stage.clock.advance(1)
        assert await other.get(NAME) == (None if put else before)
        new = store.put_now(OTHER, a_frame(3), None, 3)
        assert await other.get(OTHER) == (FRESH + a_frame(3) if new else None)
        store.close()
        assert store.put_now(OTHER, a_frame(4), None, 4) is False
        assert await other.get(OTHER) == (FRESH + a_frame(3) if new else None)

    @driven
    async def test_put_now_and_mutate_obey_one_order(self, stage: Stage) -> None:
        """Of the versions; neither brings back what the other has replaced."""
        store, other = stage.store, stage.open()
        for first, second in ((False, True), (True, False), (True, True)):
            await store.mutate([Delete(NAME)])
            assert await _put(store, a_frame(5), 5, quickly=first)
            assert not await _put(other, a_frame(4), 4, quickly=second)
            assert await store.get(NAME) == FRESH + a_frame(5)
            assert await _put(other, a_frame(6), 5, quickly=second)
            assert await _put(other, a_frame(7), 6, quickly=second)
            assert await store.get(NAME) == FRESH + a_frame(7)

    @driven
    async def test_put_now_voids_the_lease(self, stage: Stage) -> None:
        """As a put by ``mutate`` does: a value loaded before it is not stored after it, and the next may load at once."""
        store, other = stage.store, stage.open()
        await other.mutate([Put(NAME, a_frame(1), None, version_no=1)])
        assert (await store.lease(NAME, TOKEN, 1000, tenant="acme", bad=nonce_of(1), fields=[])).granted
        assert await _put(other, a_frame(2), 2, quickly=True)
        assert list((await store.mutate([Put(NAME, a_frame(3), None, token=TOKEN, version_no=3)])).done) == [False]
        assert await store.get(NAME) == FRESH + a_frame(2)
        assert (await store.lease(NAME, THEIRS, 1000, tenant="acme", bad=nonce_of(2), fields=[])).granted

    @driven
    async def test_a_put_now_that_is_refused_leaves_the_lease(self, stage: Stage) -> None:
        """As one by ``mutate`` does."""
        store = stage.store
        await store.mutate([Put(NAME, a_frame(5), None, version_no=5)])
        assert (await store.lease(NAME, TOKEN, 1000, tenant="acme", bad=nonce_of(5), fields=[])).granted
        assert store.put_now(NAME, a_frame(4), None, 4) is False
        assert list((await store.mutate([Put(NAME, a_frame(6), None, token=TOKEN, version_no=6)])).done) == [True]

    @driven
    async def test_mark_stale_leaves_the_lease(self, stage: Stage) -> None:
        """Who loads goes on, and its value stands fresh; the mark was of what was there before."""
        store = stage.store
        await store.mutate([Put(NAME, a_frame(1), None)])
        assert (await store.lease(NAME, TOKEN, 1000, tenant="acme", bad=nonce_of(1), fields=[])).granted
        assert list((await stage.open().mutate([MarkStale(NAME)])).done) == [True]
        assert await store.get(NAME) == STALE + a_frame(1)
        other = await store.lease(NAME, THEIRS, 1000, tenant="acme", bad=nonce_of(1), fields=[])
        assert (other.granted, other.frame) == (False, None)
        assert list((await store.mutate([Put(NAME, a_frame(2), None, token=TOKEN)])).done) == [True]
        assert await store.get(NAME) == FRESH + a_frame(2)
