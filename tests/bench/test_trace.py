import lzma
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caching_core.bench import Trace, TraceInvalid
from caching_core.errors import CacheError


def write(path: Path, text: str) -> Path:
    data = text.encode()
    path.write_bytes(lzma.compress(data) if path.suffix == ".xz" else data)
    return path


def read(path: Path, limit: int | None = None) -> list[str]:
    with Trace(path) as trace:
        return list(trace.requests(limit=limit))


@pytest.mark.parametrize("name", ["a.keys", "a.keys.xz"])
def test_keys_come_in_order(tmp_path: Path, name: str) -> None:
    assert read(write(tmp_path / name, "0\n1\n0\n42\n")) == ["0", "1", "0", "42"]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.xz"])
def test_csv_gives_the_key_column(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, "key,t_ms,size\n7,0,512\n8,12,99\n")
    with Trace(path) as trace:
        assert list(trace.requests()) == ["7", "8"]
        assert trace.columns == ("key", "t_ms", "size")


@given(keys=st.lists(st.integers(0, 10**18), min_size=1, max_size=50), windows=st.booleans(), last=st.booleans())
def test_any_keys_round_trip(tmp_path_factory: pytest.TempPathFactory, keys: list[int], windows: bool, last: bool) -> None:
    end = "\r\n" if windows else "\n"
    path = tmp_path_factory.mktemp("trace") / "a.keys.xz"
    write(path, end.join(map(str, keys)) + (end if last else ""))
    assert read(path) == [str(key) for key in keys]


@pytest.mark.parametrize(("limit", "count"), [(None, 5), (0, 0), (3, 3), (9, 5)])
def test_limit_stops_early(tmp_path: Path, limit: int | None, count: int) -> None:
    assert len(read(write(tmp_path / "a.keys", "1\n2\n3\n4\n5\n"), limit)) == count


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TraceInvalid, match=r"nothing\.keys\.xz does not exist"):
        Trace(tmp_path / "nothing.keys.xz")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceInvalid, match="cannot be read"):
        Trace(tmp_path)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("1\n2\nthree\n4\n", 3),
        ("1\n\n2\n", 2),
        ("1\n-2\n", 2),
        ("1\n2,3\n", 2),
        ("1\n" + "9" * 30 + "\n", 2),
        ("key,t_ms\n1,0\n2\n", 3),
        ("key,t_ms\n1,0\n2,x\n", 3),
        ("key,t_ms\n1,0,5\n", 2),
    ],
)
def test_the_malformed_line_is_named(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(TraceInvalid, match=rf"line {line}: expected") as caught:
        read(write(tmp_path / "a.keys.xz", text))
    assert isinstance(caught.value, CacheError)


@pytest.mark.parametrize("text", ["hello world\n1\n", "id,t_ms\n1,0\n", "key,T MS\n1,0\n", "\n1\n", "{}\n"])
def test_another_format_is_refused_at_line_1(tmp_path: Path, text: str) -> None:
    with pytest.raises(TraceInvalid, match="unknown format: line 1"):
        read(write(tmp_path / "a.csv", text))


@pytest.mark.parametrize("text", ["", "key,t_ms\n"])
def test_a_trace_without_requests_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(TraceInvalid, match="holds no request"):
        read(write(tmp_path / "a.csv.xz", text))


def test_a_cut_xz_says_how_far_it_came(tmp_path: Path) -> None:
    path = tmp_path / "a.keys.xz"
    whole = lzma.compress(b"".join(b"%d\n" % (n * 7919) for n in range(100_000)))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TraceInvalid, match=r"damaged or cut short after request [1-9]"):
        read(path)


def test_a_false_xz_and_binary_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.keys.xz"
    path.write_bytes(b"1\n2\n")
    with pytest.raises(TraceInvalid, match="is no xz file"):
        Trace(path)
    path = tmp_path / "a.keys"
    path.write_bytes(b"\x80\xff\x00")
    with pytest.raises(TraceInvalid, match="is not text"):
        read(path)


def test_fraction_read_grows_to_one(tmp_path: Path) -> None:
    path = tmp_path / "a.keys.xz"
    path.write_bytes(lzma.compress(os.urandom(40_000).hex(sep="\n", bytes_per_sep=2).translate(str.maketrans("abcdef", "012345")).encode()))
    with Trace(path) as trace:
        seen = [trace.fraction_read() for _ in trace.requests()]
    assert seen[0] < 0.9
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def shared_traces() -> list[Path]:
    root = Path(os.environ.get("CACHING_SHARED") or Path(__file__).parents[2].parent / "shared")
    return sorted((root / "traces").glob("*.xz"))


@pytest.mark.skipif(not shared_traces(), reason="the recorded traces are neither beside the checkout nor at CACHING_SHARED")
def test_the_recorded_traces_open() -> None:
    firsts = {path.name: read(path, 3) for path in shared_traces()}
    assert firsts
    assert all(keys[0] == "0" and len(keys) == 3 for keys in firsts.values())
