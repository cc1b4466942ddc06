"""What belongs to this user alone is made so, whatever the umask, and made whole or not at all."""

import os
import stat
import threading
from pathlib import Path

import pytest

from caching_core.errors import ConfigInvalid
from caching_core.runtime import create_file, directory_locked, identity, own_directory, own_file, put_in_place


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o777])
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_modes_do_not_hang_on_the_umask(tmp_path, umask):
    place = tmp_path / "place"
    own_directory(place)
    with put_in_place(place / "file") as (_draft, descriptor):
        os.write(descriptor, b"whole")
    assert (mode_of(place), mode_of(place / "file")) == (0o700, 0o600)
    own_file(place / "file")


def test_a_directory_that_is_ours_already_is_left_as_it_is(tmp_path):
    own_directory(tmp_path / "place")
    (tmp_path / "place" / "kept").touch()
    own_directory(tmp_path / "place")
    assert (tmp_path / "place" / "kept").exists()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.touch(), "not a directory"),
        (lambda path: path.symlink_to("nowhere"), "not a directory"),
        (lambda path: path.symlink_to("."), "symbolic link"),
        (lambda path: (path.mkdir(), path.chmod(0o701)), "open to others; run: chmod 700"),
    ],
    ids=["file", "dangling", "link", "open"],
)
def test_another_thing_in_the_place_of_a_directory_is_refused(tmp_path, make, says):
    make(tmp_path / "place")
    with pytest.raises(ConfigInvalid, match=says):
        own_directory(tmp_path / "place")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.symlink_to("other"), "symbolic link"),
        (lambda path: path.hardlink_to(path.with_name("other")), "2 hard links"),
        (lambda path: os.mkfifo(path, 0o600), "not a plain file"),
        (lambda path: (path.touch(), path.chmod(0o620)), "open to others; run: chmod 600"),
    ],
    ids=["link", "second name", "pipe", "open"],
)
def test_another_thing_in_the_place_of_a_file_is_refused(tmp_path, make, says):
    os.close(create_file(tmp_path / "other"))
    make(tmp_path / "file")
    with pytest.raises(ConfigInvalid, match=says):
        own_file(tmp_path / "file")


def test_a_file_is_put_in_place_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    first = identity(path)

    def break_off() -> None:
        with put_in_place(path) as (draft, descriptor):
            os.write(descriptor, b"half")
            assert path.read_bytes() == b"before"
            assert draft.parent == tmp_path
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert identity(path) == first
    with put_in_place(path) as (_draft, descriptor):
        os.write(descriptor, b"after")
    assert path.read_bytes() == b"after"
    assert identity(path) != first
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert identity(tmp_path / "nothing") is None


def test_a_file_is_never_created_through_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        create_file(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


def test_one_at_a_time_holds_a_directory(tmp_path):
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with directory_locked(tmp_path, timeout=0):
            inside.set()
            leave.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(30)
    with pytest.raises(BlockingIOError), directory_locked(tmp_path, timeout=0):
        pass
    leave.set()
    with directory_locked(tmp_path, timeout=30):
        pass
    holder.join(30)
    with directory_locked(tmp_path, timeout=0):
        pass
