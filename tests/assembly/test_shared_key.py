"""The key of a cache over a server that hosts share: given, and the same on each, or the cache does not open."""

import pytest

from caching_core.assembly._keys import bury_destroyed, key_ring, shared_key_provider
from caching_core.audit import AuditLog, EventRecorder
from caching_core.config import CacheConfig
from caching_core.errors import ConfigInvalid, KeyUnavailable
from caching_core.events import KeysDestroyed
from caching_core.keystore import RedisKeyStore
from caching_core.runtime import run_sync
from caching_core.tiers.redis import Address, BlockingLink, Health

KEY = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="
OTHER = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
URL = "redis://:hunter2@127.0.0.1:1"


@pytest.fixture
def hosts(valkey_server):
    links = []

    def make() -> RedisKeyStore:
        links.append(BlockingLink(Health(Address.parse(valkey_server.url.reveal())), deadline=5.0))
        return RedisKeyStore(links[-1])

    yield make
    for link in links:
        link.close()


def config(tmp_path, **settings) -> CacheConfig:
    return CacheConfig.build({"redis_url": URL, "directory": tmp_path / "cache", **settings})


def by_setting(tmp_path):
    return {"encryption_key": KEY}, {}


def by_key_file(tmp_path):
    path = tmp_path / "keys"
    path.write_text(KEY + "\n", encoding="ascii")
    path.chmod(0o600)
    return {"key_file": str(path)}, {}


def by_environment(tmp_path):
    return {}, {"CACHING_ENCRYPTION_KEYS": KEY}


@pytest.mark.parametrize("environ", [{}, {"CACHING_ENCRYPTION_KEYS": " "}])
def test_without_a_key_the_command_that_makes_one_is_named(tmp_path, environ):
    with pytest.raises(ConfigInvalid) as caught:
        shared_key_provider(config(tmp_path), environ=environ)
    for word in ("redis_url", "`caching keystore new-key`", "every host", "CACHING_ENCRYPTION_KEYS", "encryption_key", "key_file"):
        assert word in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_a_key_that_this_host_made_for_itself_does_not_count(tmp_path):
    (tmp_path / "cache").mkdir(mode=0o700)
    made = tmp_path / "cache" / "key"
    made.write_text(KEY + "\n", encoding="ascii")
    made.chmod(0o600)
    with pytest.raises(ConfigInvalid, match="new-key"):
        shared_key_provider(config(tmp_path), environ={})


@pytest.mark.parametrize("give", [by_setting, by_key_file, by_environment])
def test_however_it_is_given_it_opens_what_the_other_host_made(tmp_path, hosts, give):
    theirs, secret = key_ring(hosts(), shared_key_provider(config(tmp_path, encryption_key=KEY), environ={}), on_made=lambda *_: None)
    settings, environ = give(tmp_path)
    ours, same = key_ring(hosts(), shared_key_provider(config(tmp_path, **settings), environ=environ), on_made=lambda *_: None)
    assert same == secret
    assert run_sync(ours.tenant("acme")).primary.key_id == run_sync(theirs.tenant("acme")).primary.key_id


def test_settings_beat_the_environment(tmp_path, hosts):
    key_ring(hosts(), shared_key_provider(config(tmp_path, encryption_key=KEY), environ={}), on_made=lambda *_: None)
    beside = {"CACHING_ENCRYPTION_KEYS": OTHER}
    key_ring(hosts(), shared_key_provider(config(tmp_path, encryption_key=KEY), environ=beside), on_made=lambda *_: None)
    with pytest.raises(KeyUnavailable, match="does not have"):
        key_ring(hosts(), shared_key_provider(config(tmp_path), environ=beside), on_made=lambda *_: None)


def test_a_key_is_changed_host_by_host(tmp_path, hosts):
    def ring(*keys: str):
        return key_ring(hosts(), shared_key_provider(config(tmp_path, encryption_key=list(keys)), environ={}), on_made=lambda *_: None)[0]

    first = run_sync(ring(KEY).tenant("acme")).primary.key_id
    assert run_sync(ring(OTHER, KEY).tenant("acme")).primary.key_id == first
    made = run_sync(ring(OTHER, KEY).tenant("beta")).primary.key_id
    assert run_sync(ring(KEY, OTHER).tenant("beta")).primary.key_id == made


def test_a_server_from_a_backup_does_not_bring_back_what_the_audit_log_saw_destroyed(tmp_path, hosts):
    keystore, directory = hosts(), tmp_path / "cache"
    directory.mkdir(mode=0o700)
    ring, _ = key_ring(keystore, shared_key_provider(config(tmp_path, encryption_key=KEY), environ={}), on_made=lambda *_: None)
    destroyed = run_sync(ring.tenant("acme")).primary.key_id
    bury_destroyed(keystore, directory)  # no log yet
    with AuditLog(directory, key=b"k" * 32) as audit:
        EventRecorder(audit)(KeysDestroyed("acme", (destroyed,)))
    bury_destroyed(hosts(), directory)
    assert run_sync(keystore.load("acme")) == []
    assert run_sync(keystore.tombstones()) == {destroyed}
