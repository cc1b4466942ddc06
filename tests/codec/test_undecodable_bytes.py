"""Bytes that are no value are refused, quickly, and with nothing but a refusal."""

import struct

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caching_core.codec import Codec, Packed, Refusal, Refused
from caching_core.codec._leaf_types import MAP, SET, TUPLE


@pytest.fixture(params=["fast", "reference"], scope="module")
def codec(request):
    return Codec(library=request.param)


def test_bytes_of_many_layers_and_much_content_are_refused_before_the_parser_goes_deep(codec):
    data = b"\x01"
    for _ in range(30):
        data = b"\x91" * 1000 + b"\xc9" + struct.pack(">IB", len(data) + 1, TUPLE) + b"\x91" + data
    with pytest.raises(Refused) as refused:
        codec.unpack(Packed(1, data))
    assert refused.value.reason is Refusal.VALUE


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x91" * 100_000,
        b"\xa1\xff",
        b"\xd4\x63x",  # an ext type of nobody's
        msgpack.packb(msgpack.ExtType(MAP, msgpack.packb([1, 2, 1, 3]))),  # a key twice
        msgpack.packb(msgpack.ExtType(MAP, msgpack.packb([1]))),
        msgpack.packb(msgpack.ExtType(SET, msgpack.packb([1, 1]))),
        msgpack.packb(msgpack.ExtType(SET, msgpack.packb([[1]]))),  # not hashable
        msgpack.packb(msgpack.ExtType(TUPLE, msgpack.packb(1))),
        msgpack.packb(msgpack.ExtType(1, b"short")),
        msgpack.packb(msgpack.ExtType(1, struct.pack(">HBBBBBIB", 2020, 13, 1, 0, 0, 0, 0, 0))),
        msgpack.packb(msgpack.ExtType(1, struct.pack(">HBBBBBIB", 2020, 1, 1, 0, 0, 0, 0, 0) + b"Z../../etc/passwd")),
        msgpack.packb(msgpack.ExtType(1, struct.pack(">HBBBBBIB", 2020, 1, 1, 0, 0, 0, 0, 0) + b"ZNo/Where")),
        msgpack.packb(msgpack.ExtType(5, b"1e\xff")),
        msgpack.packb(msgpack.ExtType(5, b"one")),
        msgpack.packb(msgpack.ExtType(6, b"short")),
        msgpack.packb(msgpack.ExtType(14, msgpack.packb(["nobody", []]))),
        msgpack.packb(msgpack.ExtType(15, msgpack.packb(["<i8", [1 << 40], "C", b""]))),
        msgpack.packb(msgpack.ExtType(15, msgpack.packb(["|O", [1], "C", bytes(8)]))),
        msgpack.packb(msgpack.ExtType(15, msgpack.packb(["<i8", [-1], "C", bytes(8)]))),
    ],
)
def test_bytes_that_are_no_value_are_refused(codec, data):
    with pytest.raises(Refused) as refused:
        codec.unpack(Packed(1, data))
    assert refused.value.reason is Refusal.VALUE


@given(data=st.binary(max_size=60))
@settings(max_examples=500, deadline=None)
def test_random_bytes_never_raise_anything_else(codec, data):
    for serializer in (0, 1, 2, 3, 127):
        try:
            codec.unpack(Packed(serializer, data, user="nobody"))
        except Refused:
            pass
