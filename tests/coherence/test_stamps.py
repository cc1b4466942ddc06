"""Stamps: captures die with what they depend on, and with nothing else; numbers are never used twice."""

import os
import stat

import pytest

from caching_core.coherence import Stamps
from caching_core.coherence._regions import CELLS, KEY_CELLS, TAGS_AT, TENANTS_AT, Cells
from caching_core.coherence._table import BOOT, TABLE_BYTES, file_table
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
        file_table(directory)


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
