"""Stamps: captures die with what they depend on, and with nothing else; numbers are never used twice."""

import os
import shutil
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

from caching_core.coherence import Stamps, has_table
from caching_core.coherence._regions import CELLS, KEY_CELLS, TAGS_AT, TENANTS_AT, Cells
from caching_core.coherence._table import BOOT, TABLE_BYTES
from caching_core.errors import ConfigInvalid, TierUnavailable


@pytest.fixture
def directory(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture(params=["file", "anonymous"])
def stamps(request, directory):
    return Stamps(directory if request.param == "file" else None, secret=b"s" * 32)


def captured(stamps, cells, key, tags=()):
    entry = stamps.capture(cells, key)
    if tags:
        from caching_core.coherence import Extra

        numbers = tuple(cells.tag(tag) for tag in tags)
        entry.mark = (entry.mark, *(stamps.view[cell] for cell in numbers))
        entry.extra = Extra(tags, tag_cells=numbers, hard=float("inf"))
    return entry


def lane_is_still(stamps, entry):
    return stamps.view[entry.lane] == entry.seen


def test_a_capture_holds_until_its_key_is_touched(stamps):
    cells = stamps.cells("acme", "default")
    entry = captured(stamps, cells, "k")
    assert stamps.holds(cells, "k", entry)
    stamps.touch_key(*cells.key("k"))
    assert not lane_is_still(stamps, entry)
    assert not stamps.holds(cells, "k", entry)


def test_another_key_on_the_same_lane_moves_the_lane_but_not_the_capture(stamps):
    cells = stamps.cells("acme", "default")
    entry = captured(stamps, cells, "k")
    cell, lane = cells.key("k")
    other = next(f"o{n}" for n in range(10_000) if cells.key(f"o{n}")[1] == lane and cells.key(f"o{n}")[0] != cell)
    stamps.touch_key(*cells.key(other))
    assert not lane_is_still(stamps, entry)
    assert stamps.holds(cells, "k", entry)
    assert lane_is_still(stamps, entry), "holds() renews the lane mark"


@pytest.mark.parametrize("what", ["tag", "namespace", "tenant", "all", "void"])
def test_each_wider_invalidation_ends_a_capture(stamps, what):
    cells = stamps.cells("acme", "default")
    entry = captured(stamps, cells, "k", ("red",))
    {
        "tag": lambda: stamps.touch_tags(cells, ["red"]),
        "namespace": lambda: stamps.touch_namespace(cells),
        "tenant": lambda: stamps.touch_tenant(cells),
        "all": stamps.touch_all,
        "void": lambda: stamps.void(stamps.current(), "test"),
    }[what]()
    assert not lane_is_still(stamps, entry)
    assert not stamps.holds(cells, "k", entry)


def test_another_tag_namespace_or_tenant_does_not_end_a_capture(stamps):
    cells = stamps.cells("acme", "default")
    entry = captured(stamps, cells, "k", ("red",))
    stamps.touch_tags(cells, ["blue"])
    stamps.touch_namespace(stamps.cells("acme", "other"))
    stamps.touch_tenant(stamps.cells("umbrella", "default"))
    stamps.touch_tags(stamps.cells("umbrella", "default"), ["red"])
    assert stamps.holds(cells, "k", entry)


def test_two_openings_of_one_directory_see_each_other(directory):
    one, two = Stamps(directory, secret=b"s" * 32), Stamps(directory, secret=b"s" * 32)
    cells = one.cells("acme", "default")
    entry = captured(one, cells, "k")
    two.touch_key(*two.cells("acme", "default").key("k"))
    assert not one.holds(cells, "k", entry)


def test_numbers_are_never_given_twice_across_processes_and_renewed_blocks(directory, monkeypatch):
    monkeypatch.setattr("caching_core.coherence._stamps._COUNTER_BITS", 4)
    ours = Stamps(directory, secret=b"")
    seen = [ours.fresh() for _ in range(100)]
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        ours.after_fork()
        os.write(write, b",".join(b"%d" % int(ours.fresh()) for _ in range(100)))
        os._exit(0)
    os.waitpid(child, 0)
    seen += [ours.fresh() for _ in range(100)]
    seen += [float(number) for number in os.read(read, 65536).split(b",")]
    assert len(set(seen)) == 300


def test_cells_stay_in_their_regions():
    cells = Cells("acme", "default", b"")
    for n in range(2000):
        cell, lane = cells.key(f"k{n}")
        assert 0 <= cell < KEY_CELLS
        assert lane in cells.lanes
        assert TAGS_AT <= cells.tag(f"t{n}") < TENANTS_AT
    assert TENANTS_AT <= cells.tenant < CELLS
    assert cells.lanes[-1] < CELLS


def test_cells_are_the_same_everywhere_and_depend_on_the_secret():
    one, two, other = Cells("a", "n", b"k"), Cells("a", "n", b"k"), Cells("a", "n", b"other")
    assert [one.key(f"{n}") for n in range(50)] == [two.key(f"{n}") for n in range(50)]
    assert [one.key(f"{n}") for n in range(50)] != [other.key(f"{n}") for n in range(50)]


def test_void_advances_once_for_all_who_saw_the_same(directory):
    one, two = Stamps(directory, secret=b""), Stamps(directory, secret=b"")
    seen = one.current()
    assert one.void(seen, "full") == two.void(seen, "full") == two.current() != seen


def test_a_file_of_another_boot_is_replaced(directory):
    one = Stamps(directory, secret=b"")
    before = one.current()
    one._table.words[BOOT] += 1
    assert Stamps(directory, secret=b"").current() != before


def test_a_replaced_file_empties_everything_in_both(directory):
    dropped = []
    one = Stamps(directory, secret=b"", on_replaced=lambda: dropped.append(True))
    cells = one.cells("acme", "default")
    entry = captured(one, cells, "k")
    (directory / "stamps").unlink()
    two = Stamps(directory, secret=b"")
    assert one.check()
    assert dropped == [True]
    assert not one.holds(cells, "k", entry)
    assert one.current() == two.current()
    assert not one.check()


def test_the_file_is_the_owners_alone_and_fully_allocated(directory):
    Stamps(directory, secret=b"")
    status = (directory / "stamps").stat()
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_size == TABLE_BYTES
    assert status.st_blocks * 512 >= TABLE_BYTES


def test_a_file_that_others_can_read_is_refused(directory):
    Stamps(directory, secret=b"")
    (directory / "stamps").chmod(0o644)
    with pytest.raises(ConfigInvalid, match="chmod 600"):
        Stamps(directory, secret=b"")


def test_a_directory_that_does_not_exist_is_an_unavailable_tier(directory):
    with pytest.raises(TierUnavailable, match="stamp file"):
        Stamps(directory / "absent", secret=b"")


def test_versions_rise_and_follow_the_clock(stamps):
    versions = [stamps.version_no() for _ in range(1000)]
    assert versions == sorted(set(versions))
    assert abs((versions[-1] >> 20) - stamps.now_ms()) < 1000


def test_new_cells_hold_no_number_that_a_touch_could_write(stamps):
    sample = stamps.view[:2000].tolist()
    assert all(-2.0 <= number <= -1.0 for number in sample)
    assert len(set(sample)) == len(sample)
    assert stamps.fresh() > 0


def test_a_lock_that_nobody_gives_up_is_an_unavailable_tier_not_a_hang(directory, monkeypatch):
    monkeypatch.setattr("caching_core.coherence._table._LOCK_SECONDS", 0.05)
    stamps = Stamps(directory, secret=b"")
    with stamps._table.locked(), pytest.raises(TierUnavailable, match="continue or end it"):
        stamps.void(stamps.current(), "test")
    assert stamps.void(stamps.current(), "test") == stamps.current()


def test_versions_of_one_tick_of_the_clock_differ(stamps, monkeypatch):
    moment = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    monkeypatch.setattr("caching_core.coherence._stamps.clock_gettime_ns", lambda _clock: moment)
    assert len({stamps.version_no() for _ in range(64)}) == 64


def test_threads_never_get_the_same_version(stamps):
    found, interval = [], sys.getswitchinterval()
    threads = [threading.Thread(target=lambda: found.append([stamps.version_no() for _ in range(20_000)])) for _ in range(4)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(set().union(*found)) == 80_000


def forked(work):
    """Run ``work`` in a child; return its pid."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def test_a_lock_that_is_given_up_is_free_although_a_child_was_forked_meanwhile(stamps):
    going_on, tell = os.pipe()
    with stamps._table.locked():
        child = forked(lambda: os.read(going_on, 1))
    try:
        assert stamps.void(stamps.current(), "test") == stamps.current()
    finally:
        os.write(tell, b"x")
    assert os.waitpid(child, 0)[1] == 0


def test_a_fork_waits_for_the_lock_and_takes_none_along(directory):
    stamps = Stamps(directory, secret=b"")
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with stamps._mutex, stamps._table.locked():
            inside.set()
            leave.wait(20)

    def has_no_lock_and_can_take_it():
        stamps.after_fork()
        held = [Path(f"/proc/self/fd/{fd}") for fd in range(3, 100)]
        assert not [link for link in held if link.is_symlink() and link.readlink().name == "stamps.lock"]
        stamps.fresh()

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(20)
    threading.Timer(0.2, leave.set).start()
    stamps.before_fork()
    child = forked(has_no_lock_and_can_take_it)
    stamps.after_fork_in_parent()
    assert os.waitpid(child, 0)[1] == 0
    holder.join()
    assert stamps.void(stamps.current(), "test")


def test_a_replaced_file_is_told_of_until_everybody_heard(directory):
    answers = iter([RuntimeError("a handle was made meanwhile"), None])
    heard = []

    def drop():
        heard.append(True)
        answer = next(answers)
        if answer is not None:
            raise answer

    one = Stamps(directory, secret=b"", on_replaced=drop)
    cells = one.cells("acme", "default")
    entry = captured(one, cells, "k")
    old_view = one.view
    (directory / "stamps").unlink()
    with pytest.raises(RuntimeError):
        one.check()
    assert old_view[entry.lane] != entry.seen, "a handle that still has the old table hears of it whatever fails"
    assert not one.check()
    assert len(heard) == 2
    assert not one.check()
    assert len(heard) == 2


def test_a_lock_that_cannot_be_opened_is_an_unavailable_tier(directory):
    stamps = Stamps(directory, secret=b"")
    shutil.rmtree(directory)
    for ask in (stamps.fresh, lambda: stamps.void(stamps.current(), "test")):
        with pytest.raises(TierUnavailable, match="lock of the stamp table"):
            ask()


def test_a_table_of_this_boot_is_known_without_opening_it(directory):
    assert not has_table(directory)
    stamps = Stamps(directory, secret=b"")
    assert has_table(directory)
    stamps._table.words[BOOT] += 1
    assert not has_table(directory)


@pytest.mark.parametrize("others", ["item", "user2"])
def test_keys_that_are_alike_do_not_share_cells_more_than_chance_has_it(others):
    most = 0
    for number in range(40):
        cells = Cells("acme", f"space{number}", b"secret")
        held = {cells.key(f"user:{n}")[0] for n in range(2000)}
        most = max(most, sum(cells.key(f"{others}:{n}")[0] in held for n in range(5000)))
    assert most < 3 * 2000 * 5000 / KEY_CELLS
