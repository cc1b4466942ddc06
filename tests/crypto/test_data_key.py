"""Batches of nonces, derived ciphers, and what a fork does to them."""

import hashlib
import os
import pickle

import pytest

from caching_core.crypto import DataKey, DerivedCiphers, Xaes256Gcm, key_id_of
from caching_core.crypto._data_key import ForkGuard


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_key_id_is_the_contracts_hash():
    assert key_id_of(bytes(32)) == hashlib.sha256(b"caching-core/kid/v1" + bytes(32)).digest()[:16]
    assert DataKey(bytes(32)).key_id == key_id_of(bytes(32))
    assert key_id_of(bytes(32)) != key_id_of(b"\x01" * 32)


def test_messages_of_a_batch_share_prefix_and_cipher():
    key = DataKey(bytes(32))
    first, second = key.batch(), key.batch()
    assert first is second
    assert first.names[:16] == key.key_id
    sealed = first.cipher.encrypt(b"n" * 12, b"text", b"aad")
    assert Xaes256Gcm(bytes(32)).open(first.names[16:] + b"n" * 12, sealed, b"aad") == b"text"


def test_a_batch_ends_after_its_messages():
    key = DataKey(bytes(32), batch_messages=3)
    prefixes = [key.batch().names for _ in range(9)]
    assert prefixes == [name for name in prefixes[::3] for _ in range(3)]
    assert len(set(prefixes)) == 3


def test_a_batch_ends_after_its_time():
    clock = Clock()
    key = DataKey(bytes(32), now=clock, batch_seconds=600.0)
    first = key.batch()
    clock.now += 600.0
    assert key.batch() is first
    clock.now += 0.1
    assert key.batch() is not first


def test_the_default_batch_is_the_contracts():
    clock = Clock()
    batch = DataKey(bytes(32), now=clock).batch()
    assert batch.left == 2**20 - 1
    assert batch.until == clock.now + 600.0


def test_a_child_draws_a_prefix_of_its_own_and_the_parent_keeps_its():
    guard = ForkGuard()
    key, unwatched = DataKey(bytes(32)), DataKey(bytes(32))
    guard.watch(key)
    before, other = key.batch().names, unwatched.batch().names
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, key.batch().names + unwatched.batch().names)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    assert told[:28] != before
    assert told[:16] == key.key_id
    assert told[28:] == other
    assert key.batch().names == before


def test_the_guard_holds_neither_keys_nor_itself():
    guard = ForkGuard()
    guard.watch(DataKey(bytes(32)))
    guard.renew()
    assert len(guard._keys) == 0


def test_readers_keep_the_ciphers_that_they_use():
    key = DataKey(bytes(32))
    ciphers = DerivedCiphers(capacity=8)
    wanted = key.key_id + b"wanted-name!"
    cipher = ciphers.find(wanted, key)
    for number in range(100):
        ciphers.find(key.key_id + number.to_bytes(12), key)
        assert len(ciphers) <= 8
        found = ciphers.recent.get(wanted) or ciphers.find(wanted, key)
        assert found is cipher
    for number in range(100):
        ciphers.find(key.key_id + number.to_bytes(12), key)
    assert ciphers.find(wanted, key) is not cipher
    ciphers.forget()
    assert len(ciphers) == 0


@pytest.mark.parametrize("make", [lambda: DataKey(b"\xabsecret!" * 4), lambda: Xaes256Gcm(b"\xabsecret!" * 4)])
def test_a_key_shows_nothing_and_does_not_travel(make):
    key = make()
    assert "secret" not in repr(key)
    with pytest.raises(TypeError):
        pickle.dumps(key)
