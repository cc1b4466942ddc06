"""What every keystore keeps: one winner, one primary, and no way back for a destroyed key; in a file and in servers."""

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caching_core.crypto import KeyState
from caching_core.errors import KeyUnavailable


@pytest.fixture
def run(place):
    return place.run


@pytest.fixture
def store(place):
    return place.open()


def test_a_row_comes_back_as_it_was(run, store, row):
    first = row()
    assert run(store.load("acme")) == []
    assert run(store.create("acme", first)) == first
    assert run(store.load("acme")) == [first]
    assert run(store.load("other")) == []
    assert run(store.names()) == ["acme"]


def test_another_opens_the_same(place, run, store, row):
    first, fleet = row(), row()
    run(store.create("acme", first))
    run(store.create("@fleet", fleet))
    other = place.open()
    assert run(other.load("acme")) == [first]
    assert run(other.load("@fleet")) == [fleet]
    assert run(other.names()) == ["@fleet", "acme"]


def test_the_first_writer_wins_and_its_row_is_returned(place, run, store, row):
    first, second = row(), row()
    run(store.create("acme", first))
    assert run(place.open().create("acme", second)) == first
    assert run(store.load("acme")) == [first]


def test_a_staged_row_stands_beside_the_primary_once(run, store, row):
    first, staged = row(), row(KeyState.STAGED)
    run(store.create("acme", first))
    assert run(store.create("acme", staged)) == staged
    assert run(store.create("acme", row(KeyState.STAGED))) == staged
    assert run(store.load("acme")) == [first, staged]
    assert run(store.create("acme", row())) == first


def test_rows_come_in_the_order_of_their_making(run, store, row):
    made = [run(store.create("acme", row()))]
    for _ in range(11):
        made.append(run(store.create("acme", row(KeyState.STAGED))))
        run(store.set_state("acme", made[-1].key_id, KeyState.ENABLED))
    assert [each.key_id for each in run(store.load("acme"))] == [each.key_id for each in made]
    run(store.set_state("acme", made[0].key_id, KeyState.DISABLED))
    assert run(store.create("acme", row())).key_id == made[-1].key_id  # of several the last
    assert len(run(store.load("acme"))) == 12


def test_promotion_moves_the_primary_aside(run, store, row):
    first, staged = row(), row(KeyState.STAGED)
    run(store.create("acme", first))
    run(store.create("acme", staged))
    run(store.set_state("acme", staged.key_id, KeyState.PRIMARY))
    assert {r.key_id: r.state for r in run(store.load("acme"))} == {first.key_id: KeyState.ENABLED, staged.key_id: KeyState.PRIMARY}
    assert [r.wrapped for r in run(store.load("acme"))] == [first.wrapped, staged.wrapped]


def test_a_disabled_key_is_not_replaced_behind_the_operators_back(run, store, row):
    first = row()
    run(store.create("acme", first))
    run(store.set_state("acme", first.key_id, KeyState.DISABLED))
    assert run(store.create("acme", row())).state is KeyState.DISABLED


def test_the_state_of_an_unknown_key_cannot_be_set(run, store, row):
    run(store.create("acme", row()))
    with pytest.raises(KeyUnavailable, match="no key"):
        run(store.set_state("acme", b"x" * 16, KeyState.PRIMARY))
    run(store.set_state("acme", b"x" * 16, KeyState.DESTROYED))
    assert run(store.tombstones()) == frozenset()


@pytest.mark.parametrize("change", [{"key_id": b"short"}, {"key_id": b"s" * 17}])
def test_a_row_without_a_good_id_is_refused(run, store, row, change):
    with pytest.raises(KeyUnavailable, match="refused a row"):
        run(store.create("acme", row(**change)))
    assert run(store.names()) == []


def test_a_row_does_not_take_the_place_of_another_state_of_its_own(run, store, row):
    first = row()
    run(store.create("acme", first))
    with pytest.raises(KeyUnavailable, match="refused a row"):
        run(store.create("acme", row(KeyState.STAGED, key_id=first.key_id)))
    assert run(store.load("acme")) == [first]
    with pytest.raises(ValueError, match="destroy"):
        run(store.create("acme", row(KeyState.DESTROYED)))


def test_after_destruction_a_new_generation_begins_and_the_old_key_cannot_return(run, store, row):
    first, second = row(), row()
    assert run(store.generation("acme")) == 0
    run(store.create("acme", first))
    assert run(store.destroy("acme")) == [first.key_id]
    assert run(store.generation("acme")) == 1
    assert run(store.names()) == []
    with pytest.raises(KeyUnavailable, match="destroyed"):
        run(store.create("acme", first))
    assert run(store.create("acme", second)) == second
    assert run(store.generation("acme")) == 2
    assert run(store.tombstones()) == {first.key_id}
    assert run(store.destroy("other")) == []


def test_one_key_can_be_destroyed_alone(run, store, row):
    first, staged = row(), row(KeyState.STAGED)
    run(store.create("acme", first))
    run(store.create("acme", staged))
    run(store.set_state("acme", staged.key_id, KeyState.DESTROYED))
    assert run(store.load("acme")) == [first]
    with pytest.raises(KeyUnavailable):
        run(store.set_state("acme", staged.key_id, KeyState.PRIMARY))
    assert run(store.tombstones()) == {staged.key_id}
    assert run(store.generation("acme")) == 1


def test_ids_buried_from_elsewhere_are_refused(place, run, store, row):
    first, stays = row(), row()
    run(store.create("acme", first))
    run(store.create("gamma", stays))
    run(store.bury([]))
    run(store.bury([first.key_id, b"y" * 16]))
    other = place.open()
    assert run(other.load("acme")) == []
    assert run(other.load("gamma")) == [stays]
    assert run(other.names()) == ["gamma"]
    assert run(other.tombstones()) == {first.key_id, b"y" * 16}
    with pytest.raises(KeyUnavailable, match="destroyed"):
        run(other.create("beta", row(key_id=b"y" * 16)))


def test_it_tells_whether_keys_stand(run, store, row):
    assert not run(store.has_rows())
    run(store.create("acme", row()))
    assert run(store.has_rows())
    run(store.destroy("acme"))
    assert not run(store.has_rows())


def test_a_store_goes_on_after_close(run, store, row):
    first = run(store.create("acme", row()))
    store.close()
    assert run(store.load("acme")) == [first]


def test_no_text_shows_a_wrapped_key(store, row):
    assert row().wrapped.hex() not in repr(store) + repr(row())
    assert type(store).__name__ in repr(store)


# The keystore is emptied for each example, the rest of the fixture is without a memory.
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["create", "stage", "promote", "destroy", "bury", "reopen"]), st.sampled_from(["a", "b"])),
        max_size=20,
    )
)
def test_any_history_keeps_one_primary_and_no_destroyed_key(place, steps, row):
    store, run = place.anew(), place.run
    gone: set[bytes] = set()
    for verb, name in steps:
        if verb == "create":
            run(store.create(name, row()))
        elif verb == "stage":
            run(store.create(name, row(KeyState.STAGED)))
        elif verb == "promote":
            for standing in run(store.load(name))[-1:]:
                run(store.set_state(name, standing.key_id, KeyState.PRIMARY))
        elif verb == "destroy":
            gone |= set(run(store.destroy(name)))
        elif verb == "bury":
            buried = [standing.key_id for standing in run(store.load(name))[:1]]
            run(store.bury(buried))
            gone |= set(buried)
        else:
            store.close()
            store = place.open()
        rows = [r for each in ("a", "b") for r in run(store.load(each))]
        assert not gone & {r.key_id for r in rows}
        for each in ("a", "b"):
            assert sum(r.state is KeyState.PRIMARY for r in run(store.load(each))) <= 1
        assert run(store.names()) == [each for each in ("a", "b") if run(store.load(each))]
    assert run(store.tombstones()) == gone


@pytest.mark.parametrize("place", ["sqlite", "redis-resp2"], indirect=True)
def test_threads_agree_on_one_row(place, row):
    stores = [place.open() for _ in range(2)]
    barrier, got = threading.Barrier(16), []

    def create(store) -> None:
        mine = row()
        barrier.wait(10)
        got.append(place.run(store.create("acme", mine)))

    threads = [threading.Thread(target=create, args=(stores[number % 2],)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(got) == 16
    assert len(set(got)) == 1
    assert place.run(stores[0].load("acme")) == [got[0]]
