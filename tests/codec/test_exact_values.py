"""Every value comes back with its type and its value, or is refused by name."""

import collections
import dataclasses
import enum
import math
import struct
import types
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caching_core.codec import Codec, Packed, Refusal, Refused
from caching_core.codec._leaf_types import MAP, SET, TUPLE
from caching_core.errors import ValueNotKept


@pytest.fixture(params=["fast", "reference"], scope="module")
def codec(request):
    return Codec(library=request.param)


def same(a, b) -> bool:
    """Equal in type, value, order, sign of zero, time zone and fold, all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack(">d", a) == struct.pack(">d", b) or (math.isnan(a) and math.isnan(b))
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, Decimal):
        return a.as_tuple() == b.as_tuple()
    if isinstance(a, datetime | time):
        if type(a.tzinfo) is not type(b.tzinfo) or a.fold != b.fold or a.replace(tzinfo=None) != b.replace(tzinfo=None):
            return False
        return a.tzinfo is b.tzinfo or (repr(a.tzinfo) == repr(b.tzinfo) and a.tzname() == b.tzname())
    if isinstance(a, dict):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a.items(), b.items(), strict=True))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, set | frozenset):
        return len(a) == len(b) and all(any(same(x, y) for y in b) for x in a)
    return a == b


def test_the_comparison_itself_tells_apart_what_python_calls_equal():
    assert not same(True, 1)
    assert not same(1.0, 1)
    assert not same(0.0, -0.0)
    assert not same(Decimal("1.0"), Decimal("1.00"))
    assert not same({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert not same((1,), [1])
    assert not same(time(1, fold=1), time(1, fold=0))
    assert not same(datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=ZoneInfo("UTC")))
    assert same({float("nan"): {1, (2,)}}, {float("nan"): {(2,), 1}})


zones = st.one_of(
    st.none(),
    st.just(UTC),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC"]).map(ZoneInfo),
    st.builds(
        timezone, st.timedeltas(min_value=timedelta(hours=-23, minutes=-59), max_value=timedelta(hours=23, minutes=59, microseconds=7))
    ),
    st.builds(timezone, st.just(timedelta(hours=2)), st.text(st.characters(codec="utf-8"), max_size=4)),
)
texts = st.text(st.characters(codec="utf-8"), max_size=12)
atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(2**70), max_value=2**70),
    st.floats(allow_nan=True),
    texts,
    st.binary(max_size=12),
    st.decimals(allow_nan=False) | st.sampled_from([Decimal("NaN"), Decimal("-NaN5"), Decimal("-0E-9")]),
    st.uuids(),
    st.dates(),
    st.timedeltas(),
    st.builds(lambda moment, fold: moment.replace(fold=fold), st.datetimes(timezones=zones), st.sampled_from([0, 1])),
    st.builds(lambda moment, fold: moment.replace(fold=fold), st.times(timezones=zones), st.sampled_from([0, 1])),
    st.complex_numbers(),
)
hashables = st.recursive(atoms, lambda inner: st.tuples(inner) | st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=5)
values = st.recursive(
    hashables | st.binary(max_size=8).map(bytearray) | st.just(Decimal("sNaN")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(texts, inner, max_size=4),
        st.dictionaries(hashables, inner, max_size=4),
        st.sets(hashables, max_size=4),
    ),
    max_leaves=25,
)


@given(value=values)
@settings(max_examples=300, deadline=None)
def test_values_of_every_kind_come_back_exactly(codec, value):
    packed = codec.pack(value)
    assert same(codec.unpack(packed), value)


@given(value=values)
@settings(max_examples=200, deadline=None)
def test_both_libraries_write_the_same_bytes_and_read_each_other(value):
    fast, reference = Codec(library="fast"), Codec(library="reference")
    packed, slow = fast.pack(value), reference.pack(value)
    assert packed.serializer == slow.serializer
    assert packed.raw == slow.raw or b"set" in repr(value).encode()  # a set has no order of its own
    assert same(reference.unpack(packed), value)
    assert same(fast.unpack(slow), value)


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | texts | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(value=st.lists(plain, max_size=5))
@settings(deadline=None)
def test_plain_values_are_plain_msgpack(value):
    packed = Codec().pack(value)
    assert packed.raw == msgpack.packb(value)
    assert msgpack.unpackb(packed.raw) == value


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Real(float):
    pass


class Mapping(dict):
    pass


class Color(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    A = "a"


@dataclasses.dataclass
class Point:
    x: int


Pair = collections.namedtuple("Pair", "a b")


class Zone(tzinfo):
    def utcoffset(self, moment):
        return timedelta(0)


class Moment(datetime):
    pass


class Amount(Decimal):
    pass


REFUSED = [
    (Text("a"), "Text"),
    (Number(1), "Number"),
    (Real(1.0), "Real"),
    (Mapping(a=1), "Mapping"),
    (Moment(2020, 1, 1), "Moment"),
    (Amount(1), "Amount"),
    (collections.OrderedDict(a=1), "OrderedDict"),
    (collections.defaultdict(int), "defaultdict"),
    (collections.Counter("ab"), "Counter"),
    (collections.deque([1]), "deque"),
    (Pair(1, 2), "Pair"),
    (Color.RED, "Color"),
    (Level.LOW, "Level"),
    (Word.A, "Word"),
    (Point(1), "Point"),
    (memoryview(b"abc"), "memoryview"),
    (range(3), "range"),
    ("\ud800", "surrogates"),
    (object(), "object"),
    (types.SimpleNamespace(a=1), "SimpleNamespace"),
    (int, "type"),
    (len, "builtin"),
    (Exception("x"), "Exception"),
    (datetime(2020, 1, 1, tzinfo=Zone()), "Zone"),
    (time(1, tzinfo=Zone()), "Zone"),
    (timezone(timedelta(0), "\ud800"), "timezone"),
    (datetime(2020, 1, 1, tzinfo=timezone(timedelta(0), "\ud800")), "time zone"),
    (NotImplemented, "NotImplemented"),
    (..., "ellipsis"),
]


@pytest.mark.parametrize(("value", "named"), REFUSED, ids=[named for _, named in REFUSED])
@pytest.mark.parametrize(
    "place",
    [
        lambda value: value,
        lambda value: [value],
        lambda value: {"k": value},
        lambda value: {"k": b"\xc4", "l": [1, (2, {"x": value})]},
        lambda value: (value,),
        lambda value: {1: value},
        lambda value: {"a": bytearray(b"x"), "b": [value]},
    ],
    ids=["alone", "list", "dict", "deep", "tuple", "pairs", "careful"],
)
def test_what_would_change_is_refused_by_name(codec, value, named, place):
    with pytest.raises(ValueNotKept, match=named):
        codec.pack(place(value))


@pytest.mark.parametrize(
    "key", [Text("k"), Word.A, Number(1), Level.LOW, Color.RED, "\ud800", (Text("a"),), range(2), b"\xc4" and memoryview(b"a")]
)
def test_keys_that_would_change_are_refused(codec, key):
    with pytest.raises(ValueNotKept):
        codec.pack({key: 1})


def test_messages_hold_no_value(codec):
    for value in [Text("hush-hush"), [{"hush-hush": Text("hush-hush")}], {"hush-hush": object()}, "hush-hush\ud800"]:
        with pytest.raises(ValueNotKept) as caught:
            codec.pack(value)
        assert "hush" not in str(caught.value)


def cyclic_list():
    value = [1]
    value.append(value)
    return value


def cyclic_tuple():
    inner = []
    inner.append((inner,))
    return inner


def cyclic_dict():
    value = {1: None}
    value[1] = value
    return value


def nested(depth, wrap):
    value = 1
    for _ in range(depth):
        value = wrap(value)
    return value


@pytest.mark.parametrize("make", [cyclic_list, cyclic_tuple, cyclic_dict])
def test_a_value_that_contains_itself_is_refused(codec, make):
    with pytest.raises(ValueNotKept, match="contains itself"):
        codec.pack(make())


WRAPS = [lambda v: [v], lambda v: {"k": v}, lambda v: (v,), lambda v: frozenset([v]), lambda v: {1: v}, lambda v: ([v],)]


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("depth", [1, 5, 6, 7, 8, 20, 60, 64, 65, 66, 100, 200, 253, 254, 255, 256, 257, 300, 900, 100_000])
def test_whatever_depth_is_written_can_be_read(codec, wrap, depth):
    value = nested(depth, wrap)
    try:
        packed = codec.pack([value])
    except ValueNotKept as refused:
        assert depth > 30  # noqa: PT017 - shallow values must not be refused
        assert "nested deeper" in str(refused)
        return
    finally:
        while isinstance(value, list | tuple | dict):  # taken apart by hand: the interpreter recurses when it frees one
            value = next(iter(value.values())) if isinstance(value, dict) else value[0]
    back = codec.unpack(packed)
    assert codec.pack(back).raw == packed.raw


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


def test_arrays_come_back_with_dtype_shape_order_and_are_writable(codec):
    numpy = pytest.importorskip("numpy", reason="numpy: not installed")
    arrays = [
        numpy.arange(6).reshape(2, 3),
        numpy.asfortranarray(numpy.arange(6.0).reshape(2, 3)),
        numpy.zeros((0, 3), dtype="u1"),
        numpy.array(5),
        numpy.array(["ab", "c"]),
        numpy.array(["2020-01-01"], dtype="M8[ns]"),
        numpy.array([1 + 2j], dtype=">c16"),
        numpy.array([True, False]),
        numpy.arange(10)[::-2],
    ]
    for array in arrays:
        back = codec.unpack(codec.pack({"a": [array]}))["a"][0]
        assert type(back) is numpy.ndarray
        assert back.dtype == array.dtype
        assert back.shape == array.shape
        assert numpy.array_equal(back, array)
        assert back.flags.writeable
        if array.flags.f_contiguous and not array.flags.c_contiguous:
            assert back.flags.f_contiguous
    for refused in [
        numpy.array([object()]),
        numpy.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        numpy.float64(1.0),
        numpy.int32(1),
        numpy.ma.array([1]),
        numpy.zeros(1, dtype="V0"),
    ]:
        with pytest.raises(ValueNotKept, match="numpy"):
            codec.pack([refused])


def test_shared_parts_come_back_as_equal_parts(codec):
    part = [1]
    assert codec.unpack(codec.pack([part, part, (part,)])) == [[1], [1], ([1],)]


def test_dates_of_the_far_ends_and_a_repeated_hour(codec):
    berlin = ZoneInfo("Europe/Berlin")
    first = datetime(2024, 10, 27, 2, 30, tzinfo=berlin, fold=0)
    second = first.replace(fold=1)
    assert first.utcoffset() != second.utcoffset()
    for value in [first, second, datetime.min, datetime.max, date.min, date.max, time.min, time.max, timedelta.min, timedelta.max]:
        back = codec.unpack(codec.pack([value]))[0]
        assert same(back, value)
    assert codec.unpack(codec.pack(second)).utcoffset() == second.utcoffset()
    assert codec.unpack(codec.pack(first)).tzinfo is berlin
    assert codec.unpack(codec.pack(UUID(int=5))) == UUID(int=5)
