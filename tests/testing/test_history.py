"""Histories: what is recorded is read back, and the checker finds exactly what is wrong."""

import os
import signal
import threading
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caching_core.testing.history import Histories, KeyEvents, Kind, Recorder, Scope, Tier, check, check_histories, gather, read_history
from caching_core.testing.history._gather import LIFE
from caching_core.testing.history._record import HEADER_BYTES, RECORD

MS = 1_000_000


@pytest.fixture
def recorder(tmp_path):
    made = Recorder(tmp_path, 3)
    yield made
    made.close()


def violations(*paths):
    return {name for name, count in check(paths).violations.items() if count}


# -- recording -----------------------------------------------------------------------------------


def test_a_record_is_40_bytes_and_comes_back(recorder):
    recorder.wrote(7, 2, 100, acked=300, visible=200)
    recorder.read(7, 2, 400, 500, deadline=900, tier=Tier.LOADED, foreign=True)
    recorder.missed(8, 1, 2)
    recorder.invalidated(Scope.TAG, 4, 10, 20)
    recorder.member(7, Scope.TAG, 4)
    recorder.touched(7, 30, 40, limit=90, found=False)
    recorder.changed(9, 50, 60, turn=2)
    recorder.counted(9, 2, 70, 80)
    recorder.close()
    assert RECORD.size == 40
    assert recorder.path.stat().st_size == HEADER_BYTES + 8 * 40
    process, records = read_history(recorder.path)
    assert process == 3
    assert list(records) == [
        (100, 300, 2, 200, 7, 0, 0, Kind.WRITE),
        (400, 500, 2, 900, 7, 1, Tier.LOADED, Kind.READ),
        (1, 2, 0, 0, 8, 0, 0, Kind.MISS),
        (10, 20, 0, 0, 4, 0, Scope.TAG, Kind.INVALIDATION),
        (0, 0, 0, 4, 7, 0, Scope.TAG, Kind.MEMBER),
        (30, 40, 0, 90, 7, 0, 0, Kind.TOUCH),
        (50, 60, 2, 0, 9, 0, 0, Kind.CHANGE),
        (70, 80, 2, 0, 9, 0, 0, Kind.COUNT),
    ]


def test_a_killed_process_leaves_what_it_had_recorded(tmp_path):
    pid = os.fork()
    if pid == 0:
        recorder = Recorder(tmp_path, 1)
        for version in range(1, 30_001):  # beyond one growth of the file
            recorder.wrote(1, version, version)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    (path,) = tmp_path.glob("history-*.bin")
    _, records = read_history(path)
    assert [record[2] for record in records] == list(range(1, 30_001))


def test_threads_lose_no_record(recorder):
    def append():
        for key in range(5_000):
            recorder.missed(key, 1, 2)

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.close()
    _, records = read_history(recorder.path)
    assert sum(1 for _ in records) == 20_000


def test_a_file_of_another_clock_or_kind_is_refused(recorder, tmp_path):
    recorder.close()
    data = bytearray(recorder.path.read_bytes())
    data[20] ^= 1
    recorder.path.write_bytes(data)
    with pytest.raises(ValueError, match="another clock"):
        read_history(recorder.path)
    (tmp_path / "other").write_bytes(b"x" * 5000)
    with pytest.raises(ValueError, match="is not a history"):
        read_history(tmp_path / "other")


# -- one violation of each kind --------------------------------------------------------------------


def test_a_read_as_of_the_last_acknowledged_write_is_clean(recorder):
    recorder.wrote(1, 1, 10, acked=30, visible=20)
    recorder.read(1, 0, 25, 40)  # began before the acknowledgement
    recorder.read(1, 1, 31, 40)
    assert violations(recorder.path) == set()


def test_i1_and_its_staleness(recorder, tmp_path):
    recorder.wrote(1, 1, 10 * MS, acked=30 * MS, visible=20 * MS)
    other = Recorder(tmp_path, 4)
    other.read(1, 0, 36 * MS, 37 * MS)
    other.close()
    report = check([recorder.path, other.path])
    assert {name for name, count in report.violations.items() if count} == {"I1"}
    assert report.curve == {0: 1, 1: 1, 5: 1, 10: 0, 50: 0, 100: 0, 500: 0}
    assert report.worst_ms == 6
    assert report.smallest_clean_ms == 10
    (example,) = report.examples
    assert example.invariant == "I1"
    assert "acknowledged 1" in "".join(example.around)


def test_i2_from_the_future_or_from_nowhere(recorder):
    recorder.wrote(1, 1, 50, acked=60, visible=55)
    recorder.read(1, 1, 10, 20)
    recorder.read(1, 9, 70, 80)
    assert check([recorder.path]).violations["I2"] == 2


def test_i3_within_one_process_only(recorder, tmp_path):
    recorder.wrote(1, 1, 5, visible=6)
    recorder.read(1, 1, 10, 20)
    recorder.read(1, 0, 15, 30)  # overlaps the one before: no order between them
    other = Recorder(tmp_path, 4)
    other.read(1, 0, 40, 50)
    other.close()
    assert violations(recorder.path, other.path) == set()
    recorder.read(1, 0, 40, 50)
    assert violations(recorder.path, other.path) == {"I3"}
    assert not check([recorder.path], single_session=False).violations["I3"]
    recorder.fault(25, 35)
    assert violations(recorder.path, other.path) == set()


def test_i4_my_own(recorder):
    recorder.wrote(1, 1, 5, acked=8, visible=6)
    recorder.read(1, 0, 10, 20)
    assert violations(recorder.path) == {"I1", "I4"}


def test_i5_by_a_tag_of_another_process(recorder, tmp_path):
    recorder.member(1, Scope.TAG, 7)
    recorder.member(2, Scope.TAG, 7)
    recorder.wrote(1, 1, 5, visible=6)
    recorder.wrote(2, 1, 5, visible=11)  # not yet visible when the tag was invalidated
    recorder.read(1, 0, 15, 20)
    recorder.read(1, 0, 25, 30)
    recorder.read(2, 0, 25, 30)
    other = Recorder(tmp_path, 4)
    other.invalidated(Scope.TAG, 7, 10, 20)
    other.close()
    report = check([recorder.path, other.path])
    assert report.violations["I5"] == report.violations["I1"] == 1


def test_an_invalidation_that_never_returned_acknowledges_nothing(recorder):
    recorder.wrote(1, 1, 5, visible=6)
    recorder.invalidated(Scope.KEY, 1, 10)
    recorder.read(1, 0, 15, 20)
    assert violations(recorder.path) == set()
    assert check([recorder.path]).invalidations == 0


def test_i6_and_i8(recorder):
    recorder.read(1, 0, 10, 20, foreign=True)
    recorder.read(2, 0, 100, 110, deadline=99)
    recorder.read(2, 0, 99, 110, deadline=99)
    assert {name: count for name, count in check([recorder.path]).violations.items() if count} == {"I6": 1, "I8": 1}


def test_i7_two_seconds_after_the_last_write(recorder):
    recorder.wrote(1, 1, 5, acked=10, visible=6)
    recorder.read(1, 0, 10 + 1999 * MS, 10 + 2000 * MS)
    assert "I7" not in violations(recorder.path)
    recorder.read(1, 0, 11 + 2000 * MS, 12 + 2000 * MS)
    assert "I7" in violations(recorder.path)


# -- against plain counting ------------------------------------------------------------------------

moments = st.integers(1, 40)
writes = st.lists(st.tuples(st.integers(1, 6), moments, st.integers(0, 10), st.integers(0, 10), st.integers(0, 2)), max_size=8)
reads = st.lists(st.tuples(moments, st.integers(0, 10), st.integers(0, 6), st.integers(0, 2)), max_size=12)


@given(writes=writes, reads=reads)
def test_counts_are_those_of_the_definitions(writes, reads):
    events = KeyEvents()
    for version, begin, visible, acked, process in writes:
        events.committed[version] = min(begin, events.committed.get(version, begin))
        events.acks.append((begin + visible + acked, version, process, False))
    for begin, took, version, process in reads:
        events.reads.append((begin, begin + took, version, 0, 0, 0, process))
    report = check_histories(Histories(keys=defaultdict(KeyEvents, {1: events})))

    def needed(begin, acks):
        return max((version for moment, version, *_ in acks if moment <= begin), default=0)

    assert report.violations["I1"] == sum(read[2] < needed(read[0], events.acks) for read in events.reads)
    assert report.violations["I4"] == sum(
        read[2] < needed(read[0], [ack for ack in events.acks if ack[2] == read[6]]) for read in events.reads
    )
    assert report.violations["I2"] == sum(
        read[2] > 0 and (read[2] not in events.committed or events.committed[read[2]] > read[1]) for read in events.reads
    )
    assert report.violations["I3"] == sum(
        any(other[6] == read[6] and other[1] < read[0] and other[2] > read[2] for other in events.reads) for read in events.reads
    )
    for ms, count in report.curve.items():
        assert count == sum(
            any(moment + ms * MS <= read[0] and version > read[2] for moment, version, *_ in events.acks) for read in events.reads
        )


@given(st.lists(st.tuples(st.sampled_from(["write", "read"]), st.integers(0, 2), st.integers(1, 5)), max_size=40))
def test_a_single_register_is_clean(steps):
    """Operations one after the other on one register can violate nothing."""
    events, now, version = KeyEvents(), 0, 0
    for verb, process, took in steps:
        begin, now = now, now + took * MS
        if verb == "write":
            version += 1
            events.committed[version] = begin
            events.acks.append((now, version, process, False))
        else:
            events.reads.append((begin, now, version, 0, 0, 0, process))
        now += 1
    assert check_histories(Histories(keys=defaultdict(KeyEvents, {1: events}))).is_clean


def test_gathering_takes_the_earliest_commit_of_a_version_written_twice(recorder, tmp_path):
    recorder.wrote(1, 1, 5)  # killed before it was done
    other = Recorder(tmp_path, 3)
    other.wrote(1, 1, 50, acked=70, visible=60)
    other.close()
    found = gather([recorder.path, other.path]).keys[1]
    assert found.committed == {1: 5}
    assert found.visible == {1: 60}
    assert found.acks == [(70, 1, 3 + LIFE, False)]  # another life of process 3
