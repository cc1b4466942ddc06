"""No caller can change what another one reads, and memory knows what an entry weighs."""

import collections
import dataclasses
import enum
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caching_core.codec import BaseSerializer, Codec, Packed, isolate
from caching_core.errors import ValueNotKept


class Color(enum.Enum):
    RED = 1


@dataclasses.dataclass(frozen=True)
class Frozen:
    a: object
    b: object = None


@dataclasses.dataclass
class Open:
    a: object


class Handle:
    """Immutable by promise."""


SHARED = [
    None,
    True,
    1,
    2**100,
    1.5,
    1j,
    "text",
    b"bytes",
    Decimal(1),
    UUID(int=1),
    date(2020, 1, 1),
    datetime(2020, 1, 1, tzinfo=UTC),
    (),
    (1, "a"),
    (1, (2, frozenset([3, (4,)]))),
    frozenset([1, 2]),
    Color.RED,
    (Color.RED,),
    Frozen(1, (2,)),
    (Frozen("x"),),
    tuple(range(5000)),
]


@pytest.fixture
def codec() -> Codec:
    codec = Codec()
    codec.register_class(Open)
    codec.register_class(Frozen)
    codec.register_immutable(Handle)
    return codec


@pytest.mark.parametrize("value", [*SHARED, Handle()], ids=lambda value: repr(value)[:30])
def test_immutable_values_are_shared(codec, value):
    kept, thaw, size = isolate(value, None, codec)
    assert kept is value
    assert thaw is None
    assert size > 0


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1, "b": "x", "c": None},
        {},
        {1: 2, "a": b"x", None: 1},
        {"when": date(2020, 1, 1), "much": 2**80},
        dict.fromkeys(map(str, range(16)), 1),
        [],
        [1, "a", None],
        list(range(16)),
    ],
    ids=repr,
)
def test_flat_dicts_and_lists_are_kept_as_copies(codec, value):
    kept, thaw, _ = isolate(value, None, codec)
    assert thaw in (dict.copy, list.copy)
    assert kept == value
    assert kept is not value
    first, second = thaw(kept), thaw(kept)
    assert first == second == value
    assert first is not second
    first.clear()
    assert thaw(kept) == value


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1]},
        [[1]],
        {"a": {"b": 1}},
        [1] * 17,
        dict.fromkeys(map(str, range(17)), 1),
        {1, 2},
        bytearray(b"abc"),
        {"a": bytearray(b"x")},
        ([1],),
        (bytearray(b"x"),),
        {(1, 2): 3, "a": (1,)},
        Open(1),
        Frozen([1]),
        (Frozen({}),),
        [(1,)],
        [Color.RED] and [{"a": (1, 2)}],
    ],
    ids=repr,
)
def test_everything_else_is_kept_packed_and_made_anew(codec, value):
    for payload in (None, codec.pack(value), codec.pack(value).raw):
        kept, thaw, _ = isolate(value, payload, codec)
        assert type(kept) is bytes
        first, second = thaw(kept), thaw(kept)
        assert first == second == value
        assert type(first) is type(value)
        assert first is not second


def test_the_callers_later_changes_are_not_seen(codec):
    for value, change in [
        ({"a": 1}, lambda value: value.update(a=2)),
        ([1], lambda value: value.append(2)),
        ({"a": [1]}, lambda value: value["a"].append(2)),
        (bytearray(b"a"), lambda value: value.extend(b"b")),
        (([1],), lambda value: value[0].append(2)),
        (Open([1]), lambda value: value.a.append(2)),
    ]:
        before = repr(value)
        kept, thaw, _ = isolate(value, None, codec)
        change(value)
        assert repr(thaw(kept)) == before


@pytest.mark.parametrize(
    "value", [collections.OrderedDict(a=1), NamedTuple("T", [("a", int)])(1), type("D", (dict,), {})(), {"a": Handle}, object()]
)
def test_what_cannot_be_kept_is_refused_here_too(codec, value):
    with pytest.raises(ValueNotKept):
        isolate(value, None, codec)


def test_a_frozen_dataclass_with_something_beside_its_fields_is_not_shared(codec):
    value = Frozen(1)
    object.__setattr__(value, "cache", [])
    with pytest.raises(ValueNotKept):
        isolate(value, None, codec)


def test_a_thawed_subclass_of_a_frozen_dataclass_is_not_taken_for_one(codec):
    class Melted(Frozen):
        pass

    with pytest.raises(ValueNotKept):
        isolate(Melted(1), None, codec)


def test_payloads_of_other_serializers_are_thawed_by_them(codec):
    class Twice(BaseSerializer):
        def serialize(self, obj):
            return obj.text.encode() * 2

        def deserialize(self, data):
            return Box(data[: len(data) // 2].decode())

    codec.register("twice", Twice())
    packed = codec.pack(Box("abc"), serializer="twice")
    kept, thaw, _ = isolate(Box("abc"), packed, codec)
    assert kept == b"abcabc"
    assert thaw(kept).text == "abc"
    json = codec.pack([[1]], serializer="json")
    kept, thaw, _ = isolate([[1]], json, codec)
    assert thaw(kept) == [[1]]


class Box:
    def __init__(self, text: str) -> None:
        self.text = text


def weigh(value) -> int:
    """The memory that an object keeps alive, shared parts once."""
    seen: set[int] = set()
    rest, total = [value], 0
    while rest:
        item = rest.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        total += sys.getsizeof(item)
        if isinstance(item, dict):
            rest += [*item, *item.values()]
        elif isinstance(item, list | tuple | frozenset | set):
            rest += item
        elif dataclasses.is_dataclass(item):
            rest += [item.a, item.b]
    return total


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"))
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.dates()
)
frozen = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5).map(tuple) | st.frozensets(inner, max_size=4) | st.builds(Frozen, inner),
    max_leaves=8,
)
nested = st.recursive(
    frozen,
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(st.characters(codec="utf-8")) | st.integers(), inner, max_size=20),
    max_leaves=15,
)


@given(value=nested, given_as=st.sampled_from(["nothing", "packed", "raw"]))
@settings(max_examples=150, deadline=None)
def test_the_weight_is_never_far_below_the_truth_nor_below_the_payload(value, given_as):
    codec = Codec()
    codec.register_class(Frozen)
    packed = codec.pack(value)
    payload = {"nothing": None, "packed": packed, "raw": packed.raw}[given_as]
    kept, _, size = isolate(value, payload, codec)
    assert size >= weigh(kept) / 2
    assert size <= 20 * weigh(kept) + 1000
    if isinstance(value, str | bytes | dict | list):
        assert size >= len(packed.raw) or packed.serializer == 3


@given(value=nested)
@settings(deadline=None)
def test_what_is_thawed_equals_what_was_kept(value):
    codec = Codec()
    codec.register_class(Frozen)
    kept, thaw, _ = isolate(value, None, codec)
    back = kept if thaw is None else thaw(kept)
    assert repr(back) == repr(value) or back == value
    assert type(back) is type(value)


def test_bytes_with_a_serializer_number_are_shared_as_they_are(codec):
    kept, thaw, _ = isolate(b"abc", Packed(0, b"abc"), codec)
    assert kept == b"abc"
    assert thaw is None
