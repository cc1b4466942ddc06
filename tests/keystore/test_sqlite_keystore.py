"""The SQLite keystore: no revival, no silent replacement, nobody else's files."""

import os
import shutil
import stat

import pytest

from caching_core.errors import ConfigInvalid, KeyUnavailable
from caching_core.keystore import SqliteKeyStore
from caching_core.runtime._run import run_sync


def test_destroying_leaves_no_copy_of_the_wrapped_bytes(store, path, row):
    marker = b"MARKER" * 10
    run_sync(store.create("acme", row(wrapped=marker)))
    assert marker in path.read_bytes()
    run_sync(store.destroy("acme"))
    for file in path.parent.iterdir():
        assert marker not in file.read_bytes(), file
    assert run_sync(store.load("acme")) == []
    assert run_sync(store.names()) == []


def test_an_older_copy_of_the_file_does_not_revive_a_key(store, path, tmp_path, row):
    first = row()
    run_sync(store.create("acme", first))
    shutil.copy2(path, tmp_path / "backup")
    run_sync(store.destroy("acme"))
    shutil.copy2(tmp_path / "backup", path.with_name("restored"))
    path.with_name("restored").replace(path)
    assert run_sync(store.load("acme")) == []
    assert run_sync(store.names()) == []
    with pytest.raises(KeyUnavailable, match="destroyed"):
        run_sync(store.create("acme", first))
    run_sync(store.create("acme", row()))
    assert run_sync(store.generation("acme")) == 2


def test_a_torn_last_line_of_the_list_is_dropped_and_a_damaged_one_is_reported(store, path, row):
    first = row()
    run_sync(store.create("acme", first))
    listed = path.with_name("keys.db.destroyed")
    listed.touch(0o600)
    listed.write_bytes(b"00112233")
    run_sync(store.destroy("acme"))
    assert listed.read_bytes() == first.key_id.hex().encode() + b"\n"
    listed.write_bytes(b"z" * 32 + b"\n")
    with pytest.raises(KeyUnavailable, match="line 1"):
        run_sync(store.names())


def test_files_are_for_the_owner_only(store, path, row):
    run_sync(store.create("acme", row()))
    run_sync(store.destroy("acme"))
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_a_directory_open_to_others_is_refused(path, mode):
    path.parent.mkdir()
    path.parent.chmod(mode)
    with pytest.raises(ConfigInvalid, match="chmod 700"):
        run_sync(SqliteKeyStore(path).load("acme"))
    assert not path.exists()


def test_a_file_open_to_others_is_refused(store, path, row):
    run_sync(store.create("acme", row()))
    store.close()
    path.chmod(0o640)
    with pytest.raises(ConfigInvalid, match="chmod 600"):
        run_sync(store.load("acme"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_foreign_owner_is_refused(store, path, row):
    run_sync(store.create("acme", row()))
    store.close()
    os.chown(path, 4242, -1)
    with pytest.raises(ConfigInvalid, match="belongs to user 4242"):
        run_sync(store.load("acme"))
    os.chown(path, os.geteuid(), -1)
    os.chown(path.parent, 4242, -1)
    with pytest.raises(ConfigInvalid, match="belongs to user 4242"):
        run_sync(store.load("acme"))


def test_links_are_refused(store, path, tmp_path, row):
    run_sync(store.create("acme", row()))
    store.close()
    link = tmp_path / "link"
    link.symlink_to(path.parent)
    with pytest.raises(ConfigInvalid, match="symbolic link"):
        run_sync(SqliteKeyStore(link / "keys.db").load("acme"))
    os.link(path, tmp_path / "second")
    with pytest.raises(ConfigInvalid, match="hard links"):
        run_sync(store.load("acme"))
    path.unlink()
    path.symlink_to(tmp_path / "second")
    with pytest.raises(ConfigInvalid, match="symbolic link"):
        run_sync(store.load("acme"))
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigInvalid, match="symbolic link"):
        run_sync(store.load("acme"))
    assert not (tmp_path / "nowhere").exists()
