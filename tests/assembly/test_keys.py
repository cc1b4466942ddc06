"""Which key wraps the keystore's rows: a lost one is asked for, never replaced."""

import subprocess
import sys
import warnings

import pytest

from caching_core import SyncCacheManager
from caching_core.errors import KeyUnavailable
from caching_core.keystore import SqliteKeyStore
from caching_core.runtime import run_sync

KEY = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "cache"


def contents(directory):
    # What SQLite shares memory by is not content.
    return {path.name: path.read_bytes() for path in directory.iterdir() if not path.name.endswith("-shm")}


def opened(directory, **settings):
    return SyncCacheManager({"directory": directory, "audit": {"enabled": False}, **settings})


def by_file(directory, monkeypatch, *, is_given):
    lost, key = directory.parent / "lost", directory / "key"
    if is_given and lost.exists():
        lost.rename(key)
    elif not is_given:
        key.rename(lost)
    return {}


def by_setting(directory, monkeypatch, *, is_given):
    return {"encryption_key": KEY} if is_given else {}


def by_passphrase(directory, monkeypatch, *, is_given):
    warnings.simplefilter("ignore")  # that it is one
    return {"encryption_key": "correct horse battery staple"} if is_given else {}


def by_environment(directory, monkeypatch, *, is_given):
    if is_given:
        monkeypatch.setenv("CACHING_ENCRYPTION_KEYS", KEY)
    else:
        monkeypatch.delenv("CACHING_ENCRYPTION_KEYS")
    return {}


def by_key_file(directory, monkeypatch, *, is_given):
    path = directory.parent / "keys"
    path.write_text(KEY + "\n", encoding="ascii")
    path.chmod(0o600)
    return {"key_file": str(path)} if is_given else {}


@pytest.mark.parametrize("give", [by_file, by_setting, by_passphrase, by_environment, by_key_file])
def test_a_key_that_is_not_given_again_is_asked_for_and_nothing_is_written(directory, monkeypatch, give):
    with opened(directory, **give(directory, monkeypatch, is_given=True)) as manager:
        manager.set("k", "sealed")
    settings = give(directory, monkeypatch, is_given=False)
    before = contents(directory)
    for _ in range(2):
        with pytest.raises(KeyUnavailable) as caught:
            opened(directory, **settings).start()
        for word in ("made under a key that is not given here", "encryption_key", "key_file", "CACHING_ENCRYPTION_KEYS", "keystore.db"):
            assert word in str(caught.value)
    assert contents(directory) == before
    with opened(directory, **give(directory, monkeypatch, is_given=True)) as manager:
        assert manager.get("k") == "sealed"


def test_a_keystore_elsewhere_counts_as_well(directory, tmp_path):
    elsewhere = str(tmp_path / "keys" / "store.db")
    with opened(directory, keystore=elsewhere, encryption_key=KEY) as manager:
        manager.set("k", 1)
    with pytest.raises(KeyUnavailable, match=r"store\.db were made under a key"):
        opened(tmp_path / "another", keystore=elsewhere).start()
    assert not (tmp_path / "another" / "key").exists()


def test_a_keystore_whose_keys_were_all_destroyed_gets_a_new_one(directory):
    with opened(directory) as manager:
        manager.set("k", 1, tenant_id="acme")
    keystore = SqliteKeyStore(directory / "keystore.db")
    for name in ("acme", "@fleet"):
        run_sync(keystore.destroy(name))
    keystore.close()
    (directory / "key").unlink()
    with opened(directory) as manager:
        assert manager.set("k", 2, tenant_id="acme")
        assert manager.get("k", tenant_id="acme") == 2


def test_processes_that_start_at_once_agree_on_one_key(directory):
    script = (
        "import sys; sys.stdin.readline(); from caching_core import SyncCacheManager as M; M({'directory': sys.argv[1]}).start().close()"
    )
    started = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", script, str(directory)], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(6)
    ]
    for process in started:
        process.stdin.write(b"\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=60)[1].decode() for process in started]
    assert [process.returncode for process in started] == [0] * 6, errors
