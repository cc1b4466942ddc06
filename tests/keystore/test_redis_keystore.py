"""The keystore in a server: what hosts share of it, and what is left when the server is away, full, foreign or flushed."""

import asyncio
import multiprocessing
import os
import threading
from dataclasses import replace

import pytest

from caching_core.assembly._old_keys import OldKeysOnly
from caching_core.crypto import FLEET, KeyRing, KeyState, StaticProvider
from caching_core.errors import DeadlineExceeded, KeyNeverMade, KeyUnavailable
from caching_core.keystore import RedisKeyStore
from caching_core.runtime import run_sync
from caching_core.tiers.redis import Address, BlockingLink, Health, LoopLink

SPAWN = multiprocessing.get_context("spawn")
KEK = b"\x07" * 32
ROWS, DESTROYED, GENERATIONS = b"cc:{@0}:keys:acme", b"cc:{@0}:destroyed", b"cc:{@0}:generations"


@pytest.fixture
def run(servers):
    return servers.run


@pytest.fixture
def store(servers):
    return servers.open()


@pytest.fixture
def blocking(valkey_server):
    """Open keystores over blocking links; ``url`` for a server other than that of the session."""
    links = []

    def make(url: str | None = None, deadline: float = 5.0) -> RedisKeyStore:
        links.append(BlockingLink(Health(Address.parse(url or valkey_server.url.reveal())), deadline=deadline))
        return RedisKeyStore(links[-1])

    yield make
    for link in links:
        link.close()


def ring_over(store: RedisKeyStore, **options) -> KeyRing:
    return KeyRing(store, StaticProvider([KEK]), **options)


def test_what_stands_in_the_server_has_no_lifetime(servers, run, store, row):
    first = row(wrapped=b"MARKER" * 10)
    run(store.create("acme", first))
    assert servers.call("HKEYS", ROWS) == [first.key_id]
    run(store.destroy("acme"))
    run(store.create("acme", row()))
    names = servers.call("KEYS", "*")
    assert sorted(names) == sorted([ROWS, DESTROYED, GENERATIONS])
    assert [servers.call("PTTL", name) for name in names] == [-1] * 3
    assert first.wrapped.hex().encode() not in b"".join(servers.call("DUMP", name) for name in names)


def test_an_older_copy_of_the_rows_does_not_revive_a_key(servers, run, store, row):
    first = row()
    run(store.create("acme", first))
    copy = servers.call("DUMP", ROWS)
    run(store.destroy("acme"))
    servers.call("RESTORE", ROWS, 0, copy)
    assert run(store.load("acme")) == []
    assert run(store.names()) == []
    assert not run(store.has_rows())
    with pytest.raises(KeyUnavailable, match="no key"):
        run(store.set_state("acme", first.key_id, KeyState.PRIMARY))
    with pytest.raises(KeyUnavailable, match="destroyed"):
        run(store.create("acme", first))
    second = row()
    assert run(store.create("acme", second)) == second
    assert servers.call("HKEYS", ROWS) == [second.key_id]
    assert run(store.generation("acme")) == 2


def test_burying_erases_what_a_backup_of_the_server_brought_back(servers, run, store, row):
    first, stays = row(), row(KeyState.STAGED)
    run(store.create("acme", first))
    run(store.create("acme", stays))
    run(store.bury([first.key_id]))
    assert servers.call("HKEYS", ROWS) == [stays.key_id]
    assert run(store.load("acme")) == [stays]


def test_hundreds_of_names_and_tombstones_are_listed(run, store, row):
    names = [f"tenant-{number:04}" for number in range(1100)]
    gone = [number.to_bytes(16) for number in range(1100)]
    for name in names:
        run(store.create(name, row()))
    run(store.bury(gone))
    assert run(store.names()) == names
    assert run(store.tombstones()) == set(gone)


@pytest.mark.parametrize("text", [b"", b"nonsense", b"1 1 primary 17 00", b"1 1 lost 17 00 00", b"1 1 primary 17 00 xx", b"\xff" * 300])
def test_a_damaged_row_is_told_and_left_as_it_is(servers, run, store, row, text):
    first = run(store.create("acme", row()))
    servers.call("HSET", ROWS, first.key_id, text)
    with pytest.raises(KeyUnavailable, match=rf"damaged: the row {first.key_id.hex()}.*backup"):
        run(store.load("acme"))
    with pytest.raises(KeyUnavailable, match="damaged"):
        run(store.create("acme", row()))
    assert servers.call("HGETALL", ROWS) == [first.key_id, text]


def test_a_row_of_a_newer_release_is_not_touched(servers, run, store, row):
    first = run(store.create("acme", row()))
    text = servers.call("HGET", ROWS, first.key_id)
    servers.call("HSET", ROWS, first.key_id, b"2" + text[1:] + b" more")
    for refused in (
        store.load("acme"),
        store.create("acme", row()),
        store.set_state("acme", first.key_id, KeyState.PRIMARY),
    ):
        with pytest.raises(KeyUnavailable, match="newer release"):
            run(refused)
    assert servers.call("HGETALL", ROWS) == [first.key_id, b"2" + text[1:] + b" more"]


def test_a_foreign_value_under_its_name_is_told(servers, run, store, row):
    servers.call("SET", ROWS, "something")
    for refused in (store.load("acme"), store.create("acme", row()), store.destroy("acme")):
        with pytest.raises(KeyUnavailable, match="another program"):
            run(refused)
    assert servers.call("GET", ROWS) == b"something"


def test_a_server_that_is_not_there_is_named_without_its_password(blocking, row):
    store = blocking("redis://someone:hunter2@127.0.0.1:1/3")
    for action, refused in (("read", store.load("acme")), ("write", store.create("acme", row())), ("read", store.tombstones())):
        with pytest.raises(
            KeyUnavailable, match=rf"cannot {action} the keystore in the server 127\.0\.0\.1:1/3.*see that the server"
        ) as caught:
            run_sync(refused)
        assert "hunter2" not in f"{caught.value}{caught.value.__cause__}{store!r}"
    assert store.where == "127.0.0.1:1/3"


@pytest.mark.parametrize("world", ["blocking", "loop"])
def test_a_server_that_hangs_is_given_up_and_found_again(valkey_factory, eventually, row, world):
    server = valkey_factory()
    health = Health(Address.parse(server.url.reveal()), recovery_timeout=0.25)
    with asyncio.Runner() as runner:
        link = (BlockingLink if world == "blocking" else LoopLink)(health, deadline=0.5)
        run = run_sync if world == "blocking" else runner.run
        store = RedisKeyStore(link)
        first = run(store.create("acme", row()))
        server.pause()
        with pytest.raises(KeyUnavailable, match="may have been written all the same") as caught:
            run(store.create("beta", row()))
        assert isinstance(caught.value.__cause__, DeadlineExceeded)
        server.resume()
        eventually(lambda: health.lost is None)
        assert run(store.load("acme")) == [first]

        async def close() -> None:
            link.close()
            await asyncio.sleep(0)

        run(close()) if world == "loop" else link.close()


def test_a_full_server_refuses_new_keys_and_gives_old_ones(valkey_factory, blocking, row):
    server = valkey_factory()
    store = blocking(server.url.reveal())
    first = run_sync(store.create("acme", row()))
    with server.connect() as connection:
        connection.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
        connection.call("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(KeyUnavailable, match="cannot write the keystore"):
        run_sync(store.create("beta", row()))
    assert run_sync(store.load("acme")) == [first]
    assert run_sync(store.load("beta")) == []
    assert run_sync(store.generation("beta")) == 0


def test_a_user_without_the_right_is_told(valkey_factory, blocking):
    server = valkey_factory()
    with server.connect() as connection:
        connection.call("ACL", "SETUSER", "weak", "on", ">secret-word", "~cc:*", "+@connection", "+hscan")
    with pytest.raises(KeyUnavailable, match="its user may not do this") as caught:
        run_sync(blocking(f"redis://weak:secret-word@127.0.0.1:{server.port}").load("acme"))
    assert "secret-word" not in str(caught.value)


def test_a_forked_child_asks_by_itself(blocking, row):
    store = blocking()
    first = run_sync(store.create("acme", row()))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if run_sync(store.load("acme")) == [first] else 1
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert run_sync(store.load("acme")) == [first]


# Keys of hosts that share it


def test_two_hosts_derive_the_same_keys(servers, run):
    one, two = ring_over(servers.open()), ring_over(servers.open())
    for tenant in ("acme", "main"):
        ours, theirs = run(one.tenant(tenant)), run(two.tenant(tenant))
        assert ours.primary.key_id == theirs.primary.key_id
        assert (ours.name_key, ours.dictionary_key) == (theirs.name_key, theirs.dictionary_key)
        batch = ours.primary.batch()
        sealed = batch.cipher.encrypt(b"n" * 12, b"text", b"")
        assert theirs.cipher(batch.names).decrypt(b"n" * 12, sealed, b"") == b"text"
    assert run(one.fleet_key()) == run(two.fleet_key())
    assert run(servers.open().names()) == [FLEET, "acme", "main"]


def test_a_host_with_another_key_is_refused_and_changes_nothing(servers, run, store):
    run(ring_over(store).tenant("acme"))
    before = servers.call("HGETALL", ROWS)
    with pytest.raises(KeyUnavailable, match="which this process does not have; add that key"):
        run(KeyRing(servers.open(), StaticProvider([b"\x08" * 32])).tenant("acme"))
    assert servers.call("HGETALL", ROWS) == before


def _first_use(url: str, barrier, answers) -> None:
    made: list[str] = []
    link = BlockingLink(Health(Address.parse(url)), deadline=20.0)
    threads, got = [], []

    def use() -> None:
        ring = ring_over(RedisKeyStore(link), on_made=lambda name, _: made.append(name))
        keys = run_sync(ring.tenant("acme"))
        got.append((keys.primary.key_id, keys.name_key, run_sync(ring.fleet_key())))

    barrier.wait(60)
    for _ in range(16):
        threads.append(threading.Thread(target=use))
        threads[-1].start()
    for thread in threads:
        thread.join(60)
    link.close()
    answers.put((got, made))


def test_two_processes_of_sixteen_threads_make_one_root(valkey_server):
    barrier, answers = SPAWN.Barrier(2), SPAWN.Queue()
    hosts = [SPAWN.Process(target=_first_use, args=(valkey_server.url.reveal(), barrier, answers)) for _ in range(2)]
    for host in hosts:
        host.start()
    told = [answers.get(timeout=120) for _ in hosts]
    for host in hosts:
        host.join(30)
        assert host.exitcode == 0
    got = [each for keys, _ in told for each in keys]
    assert len(got) == 32
    assert len(set(got)) == 1
    assert sorted(name for _, made in told for name in made) == [FLEET, "acme"]  # and the others know that it was not theirs


def test_sixty_four_tasks_of_a_loop_make_one_root(valkey_server):
    made: list[str] = []

    async def use() -> list[bytes]:
        link = LoopLink(Health(Address.parse(valkey_server.url.reveal())), deadline=20.0)
        rings = [ring_over(RedisKeyStore(link), on_made=lambda name, _: made.append(name)) for _ in range(64)]
        found = await asyncio.gather(*(ring.tenant("acme") for ring in rings))
        link.close()
        await asyncio.sleep(0)
        return [keys.primary.key_id for keys in found]

    assert len(set(asyncio.run(use()))) == 1
    assert made == ["acme"]


def test_a_flushed_server_gets_new_roots_and_old_ones_open_no_more(servers, run):
    now = [1000.0]
    stays, comes = (ring_over(servers.open(), now=lambda: now[0]) for _ in range(2))
    old = run(stays.tenant("acme"))
    fleet = run(stays.fleet_key())
    batch = old.primary.batch()
    servers.call("FLUSHALL", "SYNC")
    new = run(comes.tenant("acme"))
    assert new.primary.key_id != old.primary.key_id
    assert new.cipher(batch.names) is None  # an entry that outlived the keystore is a miss, whoever wrote it
    assert run(comes.refresh("acme", old.primary.key_id)) is None
    assert run(stays.tenant("acme")) is old  # for the rest of its lease, unless it meets an entry of the others
    met = run(stays.refresh("acme", new.primary.key_id))
    assert met.primary.key_id == new.primary.key_id
    assert list(met.by_id) == [new.primary.key_id]  # not one of each
    assert met.cipher(batch.names) is None
    assert run(stays.tenant("acme")) is met
    now[0] += 301.0
    assert run(stays.fleet_key()) == run(comes.fleet_key()) != fleet


def test_who_holds_keys_does_not_put_them_back_after_a_flush(servers, run):
    # It could not know which of them had been destroyed meanwhile: the tombstones went with the rows.
    now = [1000.0]
    ring = ring_over(servers.open(), now=lambda: now[0])
    old = run(ring.tenant("acme"))
    servers.call("FLUSHALL", "SYNC")
    now[0] += 299.0
    assert run(ring.tenant("acme")) is old
    assert servers.call("DBSIZE") == 0
    now[0] += 1.0
    assert run(ring.tenant("acme")).primary.key_id != old.primary.key_id


def test_who_only_reads_makes_no_tenants_key(servers, run):
    reader = KeyRing(servers.open(), OldKeysOnly(StaticProvider([KEK])))
    run(reader.fleet_key())  # the fleet's, which names and cells are hashed with, whoever is first
    with pytest.raises(KeyNeverMade, match="tenant acme has no key"):
        run(reader.tenant("acme"))
    assert run(servers.open().names()) == [FLEET]
    writer = ring_over(servers.open())
    made = run(writer.tenant("acme"))
    assert run(reader.tenant("acme")).primary.key_id == made.primary.key_id
    assert run(reader.fleet_key()) == run(writer.fleet_key())


def test_a_destroyed_root_is_followed_by_another_on_every_host(servers, run, store):
    one, two = ring_over(store), ring_over(servers.open())
    old = run(one.tenant("acme"))
    [row] = run(store.load("acme"))
    run(store.destroy("acme"))
    one.drop("acme")
    new = run(one.tenant("acme"))
    assert new.primary.key_id != old.primary.key_id
    assert run(two.tenant("acme")).primary.key_id == new.primary.key_id
    with pytest.raises(KeyUnavailable, match="destroyed"):
        run(store.create("beta", replace(row)))
