"""The SQLite keystore: one winner, no revival, no silent replacement, nobody else's files."""

import os
import shutil
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caching_core.crypto import KeyState
from caching_core.errors import ConfigInvalid, KeyUnavailable
from caching_core.keystore import SqliteKeyStore
from caching_core.runtime._run import run_sync


def test_a_row_comes_back_as_it_was(store, row):
    first = row()
    assert run_sync(store.load("acme")) == []
    assert run_sync(store.create("acme", first)) == first
    assert run_sync(store.load("acme")) == [first]
    assert run_sync(store.load("other")) == []
    assert run_sync(store.names()) == ["acme"]


def test_the_first_writer_wins_and_its_row_is_returned(store, row):
    first, second = row(), row()
    run_sync(store.create("acme", first))
    assert run_sync(store.create("acme", second)) == first
    assert run_sync(store.load("acme")) == [first]


def test_a_staged_row_stands_beside_the_primary_once(store, row):
    first, staged = row(), row(KeyState.STAGED)
    run_sync(store.create("acme", first))
    assert run_sync(store.create("acme", staged)) == staged
    assert run_sync(store.create("acme", row(KeyState.STAGED))) == staged
    assert run_sync(store.load("acme")) == [first, staged]


def test_promotion_moves_the_primary_aside(store, row):
    first, staged = row(), row(KeyState.STAGED)
    run_sync(store.create("acme", first))
    run_sync(store.create("acme", staged))
    run_sync(store.set_state("acme", staged.key_id, KeyState.PRIMARY))
    assert {r.key_id: r.state for r in run_sync(store.load("acme"))} == {first.key_id: KeyState.ENABLED, staged.key_id: KeyState.PRIMARY}


def test_a_disabled_key_is_not_replaced_behind_the_operators_back(store, row):
    first = row()
    run_sync(store.create("acme", first))
    run_sync(store.set_state("acme", first.key_id, KeyState.DISABLED))
    assert run_sync(store.create("acme", row())).state is KeyState.DISABLED


def test_the_state_of_an_unknown_key_cannot_be_set(store, row):
    run_sync(store.create("acme", row()))
    with pytest.raises(KeyUnavailable, match="no key"):
        run_sync(store.set_state("acme", b"x" * 16, KeyState.PRIMARY))


def test_destroying_leaves_no_copy_of_the_wrapped_bytes(store, path, row):
    marker = b"MARKER" * 10
    run_sync(store.create("acme", row(wrapped=marker)))
    assert marker in path.read_bytes()
    run_sync(store.destroy("acme"))
    for file in path.parent.iterdir():
        assert marker not in file.read_bytes(), file
    assert run_sync(store.load("acme")) == []
    assert run_sync(store.names()) == []


def test_after_destruction_a_new_generation_begins_and_the_old_key_cannot_return(store, row):
    first, second = row(), row()
    run_sync(store.create("acme", first))
    assert run_sync(store.destroy("acme")) == [first.key_id]
    with pytest.raises(KeyUnavailable, match="destroyed"):
        run_sync(store.create("acme", first))
    assert run_sync(store.create("acme", second)) == second
    assert run_sync(store.generation("acme")) == 2
    assert run_sync(store.tombstones()) == {first.key_id}


def test_one_key_can_be_destroyed_alone(store, row):
    first, staged = row(), row(KeyState.STAGED)
    run_sync(store.create("acme", first))
    run_sync(store.create("acme", staged))
    run_sync(store.set_state("acme", staged.key_id, KeyState.DESTROYED))
    assert run_sync(store.load("acme")) == [first]
    with pytest.raises(KeyUnavailable):
        run_sync(store.set_state("acme", staged.key_id, KeyState.PRIMARY))


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


def test_ids_buried_from_elsewhere_are_refused(store, row):
    first = row()
    run_sync(store.create("acme", first))
    run_sync(store.bury([first.key_id, b"y" * 16]))
    assert run_sync(store.load("acme")) == []
    with pytest.raises(KeyUnavailable, match="destroyed"):
        run_sync(store.create("beta", row(key_id=b"y" * 16)))


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


@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["create", "stage", "promote", "destroy", "reopen"]), st.sampled_from(["a", "b"])),
        max_size=20,
    )
)
def test_any_history_keeps_one_primary_and_no_destroyed_key(tmp_path_factory, steps, row):
    store = SqliteKeyStore(tmp_path_factory.mktemp("history") / "state" / "keys.db")
    gone: set[bytes] = set()
    for verb, name in steps:
        if verb == "create":
            run_sync(store.create(name, row()))
        elif verb == "stage":
            run_sync(store.create(name, row(KeyState.STAGED)))
        elif verb == "promote":
            for standing in run_sync(store.load(name))[-1:]:
                run_sync(store.set_state(name, standing.key_id, KeyState.PRIMARY))
        elif verb == "destroy":
            gone |= set(run_sync(store.destroy(name)))
        else:
            store.close()
        rows = [r for each in ("a", "b") for r in run_sync(store.load(each))]
        assert not gone & {r.key_id for r in rows}
        for each in ("a", "b"):
            assert sum(r.state is KeyState.PRIMARY for r in run_sync(store.load(each))) <= 1
    assert run_sync(store.tombstones()) == gone
    store.close()
