"""Tables that are taken from those who use them, and what is left then: nothing holds, and there is no store."""

import errno
import itertools

import pytest

from caching_core.coherence import Scheme, Stamps, TableForeign
from caching_core.coherence._table_file import Terms
from caching_core.errors import ConfigInvalid, TierUnavailable

HASHED = Scheme(has_hashed_names=True)


@pytest.fixture
def directory(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path


def test_a_table_of_another_secret_is_taken_from_those_who_use_it(directory):
    heard = []
    one = Stamps(directory, secret=b"a" * 32, on_given_up=lambda: heard.append(True))
    cells = one.cells("acme", "default")
    entry = one.capture(cells, "k")
    assert one.current()
    two = Stamps(directory, secret=b"b" * 32)
    assert not one.holds(cells, "k", entry)
    assert not one.holds(cells, "k", one.capture(cells, "k")), "nor does anything that is captured from now on"
    one.fresh()  # it has numbers left
    assert one.current() == ""
    assert heard == [True]
    one.touch_key(*cells.key("k"))
    entry = one.capture(cells, "k")
    assert one.view[entry.lane] != entry.seen, "whatever is touched"
    with pytest.raises(TierUnavailable, match="replaced by other processes"):
        one.void("", "test")
    with pytest.raises(TableForeign, match="another keystore"):
        one.check()
    assert two.current() == Stamps(directory, secret=b"b" * 32).current()


def test_who_joins_takes_it_from_nobody_but_takes_what_nobody_uses(directory):
    one = Stamps(directory, secret=b"a" * 32)
    with pytest.raises(TableForeign):
        Stamps(directory, secret=b"b" * 32, replaces=False)
    assert one.current()
    assert not one.check()
    one.close()
    two = Stamps(directory, secret=b"b" * 32, replaces=False)
    assert two.current() not in ("", one.current())


@pytest.mark.parametrize(("there", "here"), list(itertools.permutations([Scheme(), HASHED, Scheme(security_enabled=False)], 2)))
def test_another_scheme_is_refused_while_the_table_is_used(directory, there, here):
    one = Stamps(directory, secret=b"", scheme=there)
    for secret in (b"", b"another"):
        with pytest.raises(ConfigInvalid, match="is in use with"):
            Stamps(directory, secret=secret, scheme=here)
    assert one.current()
    assert not one.check()
    one.close()
    assert Stamps(directory, secret=b"", scheme=here).current() != one.current()


def test_schemes_have_numbers_of_their_own_and_come_back():
    every = [Scheme(security_enabled=one, has_hashed_names=two) for one in (True, False) for two in (True, False)]
    assert len({scheme.number for scheme in every}) == 4
    assert [Scheme.of(scheme.number) for scheme in every] == every
    assert all(scheme.number for scheme in every)


def test_the_tag_of_a_secret_is_its_own_and_not_the_key_of_any_cell(directory):
    tags = {Terms.of(bytes([number]) * 32, Scheme()).secret_tag for number in range(200)}
    assert len(tags) == 200
    assert Terms.of(b"a" * 32, Scheme()).secret_tag == Terms.of(b"a" * 32, HASHED).secret_tag
    Stamps(directory, secret=b"a" * 32)
    assert b"a" * 8 not in (directory / "stamps").read_bytes()[:4096]


def test_who_cannot_make_a_table_leaves_the_others_theirs(directory, monkeypatch):
    one = Stamps(directory, secret=b"a" * 32)
    cells = one.cells("acme", "default")
    entry = one.capture(cells, "k")

    def is_full(*_given):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr("caching_core.coherence._table_file._fill", is_full)
    with pytest.raises(TierUnavailable, match="no space"):
        Stamps(directory, secret=b"b" * 32)
    assert one.holds(cells, "k", entry)
    assert one.current()
    assert [path.name for path in directory.iterdir() if path.name.startswith("stamps.") and path.name != "stamps.lock"] == []


def test_a_table_that_was_given_up_and_not_replaced_is_replaced_by_the_next(directory):
    one = Stamps(directory, secret=b"")
    before = one.current()
    one._table.give_up()  # by one who died before it had put another there
    two = Stamps(directory, secret=b"")
    assert two.current() not in ("", before)
    assert one.check()
    assert one.current() == two.current()


def test_nor_does_its_own_process_wait_for_another(directory):
    one = Stamps(directory, secret=b"")
    one._table.give_up()
    assert one.check()
    assert one.current()


def test_what_was_invalidated_under_the_old_table_is_not_read_under_the_new_one(directory):
    one = Stamps(directory, secret=b"")
    (directory / "stamps").unlink()
    two = Stamps(directory, secret=b"")
    stored_under = two.current()
    one.touch_key(*one.cells("acme", "default").key("k"))  # two does not hear of it
    one.check()
    assert two.current() != stored_under


@pytest.mark.parametrize("how", ["made so", "later"])
def test_abandoned_stamps_hold_nothing_whatever_is_touched(directory, how):
    if how == "made so":
        stamps = Stamps(None, secret=b"", abandoned="the reason")
    else:
        stamps = Stamps(directory, secret=b"")
        old = stamps.view
        stamps.fresh()
        stamps.abandon("the reason")
        assert old[0] != old[0], "nor may others go on with the table that it shared"
    cells = stamps.cells("acme", "default")
    for touch in (
        lambda: stamps.touch_key(*cells.key("k")),
        lambda: stamps.touch_keys([cells.key("k")]),
        lambda: stamps.touch_tags(cells, ["t"]),
        lambda: stamps.touch_namespace(cells),
        lambda: stamps.touch_tenant(cells),
        stamps.touch_all,
        stamps.after_fork,
    ):
        touch()
        entry = stamps.capture(cells, "k")
        assert stamps.view[entry.lane] != entry.seen
        assert not stamps.holds(cells, "k", entry)
    assert stamps.current() == ""
    assert not stamps.check()
    with pytest.raises(TierUnavailable, match="the reason"):
        stamps.void("", "test")
    assert stamps.version_no() > 0
