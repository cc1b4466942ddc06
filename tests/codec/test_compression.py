"""Compression pays or is left out, and no frame makes the reader allocate more than it may."""

import os
import struct
import subprocess
import sys
import threading

import lz4.block
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from caching_core.codec import Codec, CompressorId, Refusal, Refused
from caching_core.codec._compression import AUTO_SMALLEST, SMALLEST, Compressor
from caching_core.types import CompressionAlgorithm

LARGEST = 1 << 20


def compressor(algorithm=CompressionAlgorithm.ZSTD) -> Compressor:
    return Compressor(algorithm, largest=LARGEST)


@given(raw=st.binary(max_size=300) | st.builds(lambda part, times: part * times, st.binary(max_size=9), st.integers(0, 3000)))
@settings(deadline=None)
def test_all_algorithms_give_back_what_they_took(raw):
    for algorithm in CompressionAlgorithm:
        kind, payload = compressor(algorithm).compress(raw)
        assert len(payload) <= len(raw)
        if kind:
            assert compressor(CompressionAlgorithm.NONE).decompress(kind, payload, len(raw)) == raw
        else:
            assert payload is raw


@pytest.mark.parametrize(
    ("algorithm", "size", "kind"),
    [
        ("none", 10_000, CompressorId.NONE),
        ("lz4", SMALLEST - 1, CompressorId.NONE),
        ("lz4", SMALLEST, CompressorId.LZ4),
        ("zstd", SMALLEST - 1, CompressorId.NONE),
        ("zstd", SMALLEST, CompressorId.ZSTD),
        ("auto", AUTO_SMALLEST - 1, CompressorId.NONE),
        ("auto", AUTO_SMALLEST, CompressorId.ZSTD),
    ],
)
def test_which_algorithm_takes_which_sizes(algorithm, size, kind):
    assert compressor(CompressionAlgorithm(algorithm)).compress(b"a" * size)[0] == kind


def test_auto_leaves_below_64_kib_alone_where_compression_saves_only_space():
    assert AUTO_SMALLEST == 64 << 10


@pytest.mark.parametrize("algorithm", ["lz4", "zstd", "auto"])
def test_what_does_not_shrink_by_a_tenth_stays_as_it_is(algorithm):
    noise = os.urandom(AUTO_SMALLEST)
    assert compressor(CompressionAlgorithm(algorithm)).compress(noise) == (0, noise)
    assert compressor(CompressionAlgorithm(algorithm)).compress(noise + bytes(AUTO_SMALLEST // 16))[0] == 0
    assert compressor(CompressionAlgorithm(algorithm)).compress(noise + bytes(AUTO_SMALLEST // 4))[0] != 0


def refusal(kind, payload, raw_len) -> Refusal:
    with pytest.raises(Refused) as caught:
        compressor().decompress(kind, payload, raw_len)
    return caught.value.reason


def zstd_header(content_size: int | None, window_log: int | None = None) -> bytes:
    """Write a frame header by hand; after it comes one raw block of one byte."""
    sizes = {None: b"", **({content_size: struct.pack("<Q", content_size)} if content_size is not None else {})}
    single = window_log is None
    descriptor = (0xC0 if content_size is not None else 0) | (0x20 if single else 0)
    window = b"" if single else bytes([(window_log - 10) << 3])
    return b"\x28\xb5\x2f\xfd" + bytes([descriptor]) + window + sizes[content_size] + b"\x09\x00\x00x"


def test_hand_made_headers_are_what_the_library_reads():
    assert zstandard.get_frame_parameters(zstd_header(1 << 62)).content_size == 1 << 62
    assert zstandard.get_frame_parameters(zstd_header(5, 31)).window_size == 1 << 31
    assert zstandard.ZstdDecompressor().decompress(zstd_header(1, 31)) == b"x"


BOMBS = {
    "states 256 MiB": (zstd_header(256 << 20), 1000),
    "states 2^62": (zstd_header(1 << 62), 1000),
    "states 2^62 with a large raw_len": (zstd_header(1 << 62), LARGEST),
    "window of 2 GiB": (zstd_header(1000, 31), 1000),
    "window of 2 GiB around one byte": (zstd_header(1, 31), 1),
    "unknown size": (zstandard.ZstdCompressor(write_content_size=False).compress(b"a" * 5000), 5000),
    "one byte less": (zstandard.ZstdCompressor().compress(b"a" * 999), 1000),
    "one byte more": (zstandard.ZstdCompressor().compress(b"a" * 1001), 1000),
    "two frames": (zstandard.ZstdCompressor().compress(b"a" * 1000) * 2, 1000),
    "empty": (b"", 1000),
    "cut": (zstandard.ZstdCompressor().compress(b"a" * 1000)[:-1], 1000),
    "no frame": (b"a" * 100, 1000),
    "skippable frame": (b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd", 1000),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_zstd_bombs_are_refused(bomb):
    payload, raw_len = BOMBS[bomb]
    assert refusal(CompressorId.ZSTD, payload, raw_len) is Refusal.COMPRESSOR


def test_lz4_bombs_are_refused():
    good = lz4.block.compress(b"a" * 1000, store_size=False)
    for payload, raw_len in [(good, 999), (good, 1001), (good, LARGEST), (b"", 100), (b"\xff" * 50, 1000), (good[:-1], 1000)]:
        assert refusal(CompressorId.LZ4, payload, raw_len) is Refusal.COMPRESSOR


def test_more_than_the_largest_value_is_refused_whatever_the_payload():
    for kind in (CompressorId.LZ4, CompressorId.ZSTD):
        assert refusal(kind, bytes(100), LARGEST + 1) is Refusal.LENGTH


def test_a_dictionary_is_refused_as_missing():
    words = zstandard.ZstdCompressionDict(bytes(range(256)) * 40, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    trained = zstandard.train_dictionary(2000, [f"user-{i} name-{i * 7} mail-{i}@example.org".encode() * 3 for i in range(500)])
    assert words is not None
    payload = zstandard.ZstdCompressor(dict_data=trained).compress(b"user-1 name-7 mail-1@example.org" * 3)
    assert zstandard.get_frame_parameters(payload).dict_id
    assert refusal(CompressorId.ZSTD, payload, 96) is Refusal.DICTIONARY
    assert refusal(CompressorId.ZSTD_DICTIONARY, payload, 96) is Refusal.DICTIONARY


OPEN_BOMBS = """
import resource
import sys
from caching_core.codec import Refused
from caching_core.codec._compression import Compressor
from caching_core.types import CompressionAlgorithm

reader = Compressor(CompressionAlgorithm.ZSTD, largest=1 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for bomb in sys.argv[1:]:
    kind, payload, size = bomb.split(":")
    try:
        reader.decompress(int(kind), bytes.fromhex(payload), int(size))
    except Refused:
        continue
    raise SystemExit("opened " + bomb)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_bombs_do_not_grow_the_process():
    zstd = [zstd_header(256 << 20), zstd_header(1 << 62), zstd_header(1 << 20, 31)]
    bombs = [f"{CompressorId.ZSTD:d}:{payload.hex()}:{1 << 20}" for payload in zstd]
    bombs += [f"{CompressorId.LZ4:d}:{bytes(100).hex()}:{size}" for size in (1 << 20, 1 << 31)]
    done = subprocess.run([sys.executable, "-c", OPEN_BOMBS, *bombs], capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) < 2 * LARGEST // 1024


def test_many_threads_share_one_compressor():
    shared = compressor()
    failures = []

    def work(seed: int) -> None:
        for number in range(200):
            raw = f"{seed}-{number} ".encode() * 400
            kind, payload = shared.compress(raw)
            if shared.decompress(kind, payload, len(raw)) != raw:
                failures.append((seed, number))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert len(shared._contexts) <= 6


@given(data=st.binary(max_size=200), raw_len=st.integers(0, 1 << 33), kind=st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_random_payloads_raise_nothing_but_refusals(data, raw_len, kind):
    try:
        raw = compressor().decompress(kind, data, raw_len)
    except Refused:
        return
    assert len(raw) == raw_len <= LARGEST


def test_the_codec_bounds_what_it_writes_by_what_it_reads():
    codec = Codec(compression=CompressionAlgorithm.ZSTD, max_value_bytes=10_000)
    packed = codec.pack(b"a" * 10_000)
    kind, payload = codec.compressor.compress(packed.raw)
    assert codec.compressor.decompress(kind, payload, 10_000) == packed.raw
