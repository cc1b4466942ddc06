"""The hierarchy: one root per tenant, first writer wins, leases end, unknown ids are looked up with measure."""

import os
import pickle

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from caching_core.crypto import FLEET, KeyRing, KeyRow, KeyState, StaticProvider, derive, key_id_of
from caching_core.errors import KeyUnavailable, TierUnavailable
from caching_core.keystore import SqliteKeyStore

KEK = b"\x07" * 32


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Shelf:
    """A keystore in memory that counts readings and can be away; rows change as the test says."""

    def __init__(self) -> None:
        self.rows: dict[str, list[KeyRow]] = {}
        self.readings = 0
        self.away: Exception | None = None
        self.during = None

    async def load(self, name):
        self.readings += 1
        if self.away is not None:
            raise self.away
        rows = list(self.rows.get(name, ()))
        if self.during is not None:
            self.during()
        return rows

    async def create(self, name, row):
        if self.away is not None:
            raise self.away
        standing = self.rows.setdefault(name, [])
        for other in standing:
            if other.state is KeyState.PRIMARY or other.state is KeyState.DESTROYED:
                return other
        standing.append(row)
        return row


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(shelf, clock) -> KeyRing:
    return KeyRing(shelf, StaticProvider([KEK]), now=clock)


async def row_of(name: str, *, state=KeyState.PRIMARY, created_ms=1) -> KeyRow:
    made = await StaticProvider([KEK]).generate(name, purpose="root")
    return KeyRow(key_id_of(derive(made.root, "data", name)), state, made.wrapped, made.kek_id, created_ms)


def test_derivation_is_hkdf_with_purpose_and_tenant():
    expected = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"data|acme").derive(bytes(32))
    assert derive(bytes(32), "data", "acme") == expected
    assert len({derive(bytes(32), purpose, tenant) for purpose in ("data", "name", "dictionary") for tenant in ("a", "b")}) == 6


async def test_the_first_use_makes_a_root_and_other_processes_find_it(shelf, clock, world):
    first = await KeyRing(shelf, StaticProvider([KEK]), now=clock).tenant("acme")
    second = await KeyRing(shelf, StaticProvider([KEK]), now=clock).tenant("acme")
    other = await KeyRing(shelf, StaticProvider([KEK]), now=clock).tenant("other")
    assert first.primary.key_id == second.primary.key_id
    assert first.name_key == second.name_key
    assert first.primary.key_id != other.primary.key_id
    [row] = shelf.rows["acme"]
    assert row.key_id == first.primary.key_id
    assert row.state is KeyState.PRIMARY
    root = await StaticProvider([KEK]).unwrap(row.wrapped, row.kek_id, name="acme", purpose="root")
    assert key_id_of(derive(root, "data", "acme")) == row.key_id
    assert first.name_key == derive(root, "name", "acme")
    assert first.dictionary_key == derive(root, "dictionary", "acme")


async def test_the_loser_of_a_race_takes_the_winners_key(shelf, clock, world):
    winner = await row_of("acme")
    shelf.during = lambda: shelf.rows.update(acme=[winner])  # after the loser has seen that there is none
    keys = await KeyRing(shelf, StaticProvider([KEK]), now=clock).tenant("acme")
    assert keys.primary.key_id == winner.key_id


async def test_what_one_seals_the_other_opens(shelf, clock, world):
    writer = (await KeyRing(shelf, StaticProvider([KEK]), now=clock).tenant("acme")).primary.batch()
    reader = await KeyRing(shelf, StaticProvider([KEK]), now=clock).tenant("acme")
    sealed = writer.cipher.encrypt(b"n" * 12, b"text", b"")
    assert reader.cipher(writer.names).decrypt(b"n" * 12, sealed, b"") == b"text"
    assert reader.opened.recent[writer.names] is reader.cipher(writer.names)
    assert reader.cipher(bytes(28)) is None


async def test_keys_are_held_for_their_lease_and_ciphers_beyond_it(ring, shelf, clock, world):
    keys = await ring.tenant("acme")
    batch = keys.primary.batch()
    keys.cipher(batch.names)
    assert keys.expires_at == clock.now + 300.0
    clock.now += 299.9
    assert await ring.tenant("acme") is keys
    assert shelf.readings == 1
    clock.now += 0.1
    later = await ring.tenant("acme")
    assert later is not keys
    assert shelf.readings == 2
    assert later.primary is keys.primary  # the same key: its batch and the derived ciphers go on
    assert later.opened is keys.opened


async def test_a_ring_without_its_keystore_fails_closed_after_the_lease(ring, shelf, clock, world):
    keys = await ring.tenant("acme")
    shelf.away = TierUnavailable("the keystore is away")
    clock.now += 299.0
    assert await ring.tenant("acme") is keys
    clock.now += 1.0
    with pytest.raises(KeyUnavailable, match="acme"):
        await ring.tenant("acme")
    shelf.away = KeyUnavailable("the keystore is damaged")
    with pytest.raises(KeyUnavailable, match="damaged"):
        await ring.tenant("acme")
    with pytest.raises(KeyUnavailable):
        await ring.fleet_key()


async def test_the_lease_counts_from_before_the_reading(ring, shelf, clock, world):
    def slow():
        clock.now += 40.0

    shelf.during = slow
    assert (await ring.tenant("acme")).expires_at == 1300.0


async def test_an_unknown_id_is_looked_up_once_in_five_seconds(ring, shelf, clock, world):
    keys = await ring.tenant("acme")
    assert await ring.refresh("acme", keys.primary.key_id) is keys
    assert shelf.readings == 1
    assert await ring.refresh("acme", b"x" * 16) is None
    assert shelf.readings == 2
    staged = await row_of("acme", state=KeyState.STAGED)
    shelf.rows["acme"].append(staged)
    for _ in range(100):
        assert await ring.refresh("acme", staged.key_id) is None
    clock.now += 4.9
    assert await ring.refresh("acme", staged.key_id) is None
    assert shelf.readings == 2
    clock.now += 0.2
    found = await ring.refresh("acme", staged.key_id)
    assert shelf.readings == 3
    assert set(found.by_id) == {keys.primary.key_id, staged.key_id}
    assert found.primary is keys.primary
    assert await ring.tenant("acme") is found
    await ring.tenant("other")
    assert await ring.refresh("other", staged.key_id) is None
    assert shelf.readings == 5  # each tenant has its own measure


async def test_states_decide_what_seals_and_what_opens(ring, shelf, world):
    rows = {state: await row_of("acme", state=state, created_ms=number) for number, state in enumerate(KeyState)}
    shelf.rows["acme"] = [row for state, row in rows.items() if state is not KeyState.DESTROYED]
    keys = await ring.tenant("acme")
    assert keys.primary.key_id == rows[KeyState.PRIMARY].key_id
    assert set(keys.by_id) == {rows[state].key_id for state in (KeyState.STAGED, KeyState.PRIMARY, KeyState.ENABLED)}


async def test_after_a_promotion_both_open_and_names_stay(ring, shelf, clock, world):
    before = await ring.tenant("acme")
    [row] = shelf.rows["acme"]
    promoted = await row_of("acme", created_ms=row.created_ms + 1)
    shelf.rows["acme"] = [KeyRow(row.key_id, KeyState.ENABLED, row.wrapped, row.kek_id, row.created_ms), promoted]
    clock.now += 300.0
    after = await ring.tenant("acme")
    assert after.primary.key_id == promoted.key_id
    assert after.by_id[row.key_id] is before.primary
    assert after.name_key == before.name_key
    assert after.opened is before.opened
    shelf.rows["acme"] = [promoted]
    clock.now += 300.0
    alone = await ring.tenant("acme")
    assert set(alone.by_id) == {promoted.key_id}
    assert alone.opened is not before.opened  # ciphers of a key that is gone go with it


async def test_a_destroyed_key_is_not_made_anew_by_reading(ring, shelf, world):
    shelf.rows["acme"] = [await row_of("acme", state=KeyState.DESTROYED)]
    with pytest.raises(KeyUnavailable, match="destroyed"):
        await ring.tenant("acme")


async def test_a_dropped_tenant_is_read_again_and_forgets_its_ciphers(ring, shelf, world):
    keys = await ring.tenant("acme")
    keys.cipher(keys.primary.batch().names)
    assert len(keys.opened) == 1
    ring.drop("acme")
    ring.drop("nobody")
    assert len(keys.opened) == 0
    await ring.tenant("acme")
    assert shelf.readings == 2


async def test_a_load_that_began_before_a_drop_does_not_bring_the_keys_back(ring, shelf, world):
    await ring.tenant("acme")
    ring.drop("acme")
    shelf.during = lambda: ring.drop("acme")
    await ring.tenant("acme")
    shelf.during = None
    readings = shelf.readings
    await ring.tenant("acme")
    assert shelf.readings == readings + 1


async def test_rows_that_were_changed_do_not_give_keys(ring, shelf, world):
    row, other = await row_of("acme"), await row_of("other")
    for wrong in [
        KeyRow(row.key_id, row.state, other.wrapped, other.kek_id, 1),
        KeyRow(other.key_id, row.state, row.wrapped, row.kek_id, 1),
        KeyRow(row.key_id, row.state, row.wrapped[:-1], row.kek_id, 1),
        KeyRow(row.key_id, row.state, row.wrapped, b"?" * 16, 1),
    ]:
        shelf.rows["acme"] = [wrong]
        with pytest.raises(KeyUnavailable):
            await ring.tenant("acme")


async def test_the_fleets_key_is_the_same_everywhere_and_is_no_tenants(shelf, clock, world):
    first = await KeyRing(shelf, StaticProvider([KEK]), now=clock).fleet_key()
    ring = KeyRing(shelf, StaticProvider([KEK]), now=clock)
    assert await ring.fleet_key() == first
    assert len(first) == 32
    readings = shelf.readings
    await ring.fleet_key()
    assert shelf.readings == readings
    assert list(shelf.rows) == [FLEET]
    clock.now += 300.0
    assert await ring.fleet_key() == first
    assert shelf.readings == readings + 1


async def test_nothing_secret_is_shown(ring, shelf, world):
    keys = await ring.tenant("acme")
    [row] = shelf.rows["acme"]
    shown = repr(ring) + repr(keys) + repr(row) + repr(keys.primary) + repr(keys.opened)
    for secret in (keys.name_key, keys.dictionary_key, row.wrapped):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown
    with pytest.raises(TypeError):
        pickle.dumps(keys)


async def test_a_real_keystore_on_disk_serves_two_rings(tmp_path, clock, world):
    path = tmp_path / "keys" / "keys.db"
    stores = [SqliteKeyStore(path), SqliteKeyStore(path)]
    try:
        keys = [await KeyRing(store, StaticProvider([KEK]), now=clock).tenant("acme") for store in stores]
        assert keys[0].primary.key_id == keys[1].primary.key_id
        assert keys[0].name_key not in path.read_bytes()
        await stores[0].destroy("acme")
        with pytest.raises(KeyUnavailable):
            await stores[1].create("acme", KeyRow(keys[0].primary.key_id, KeyState.PRIMARY, b"w", b"k", 1))
        anew = await KeyRing(stores[1], StaticProvider([KEK]), now=clock).tenant("acme")
        assert anew.primary.key_id != keys[0].primary.key_id
    finally:
        for store in stores:
            store.close()


async def test_a_child_of_a_ring_draws_its_own_prefix(ring, world):
    keys = await ring.tenant("acme")
    before = keys.primary.batch().names
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, keys.primary.batch().names)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read()
    assert os.waitpid(child, 0)[1] == 0  # noqa: ASYNC222 - the child has answered and is gone
    assert told[:16] == before[:16]
    assert told[16:] != before[16:]
