"""Which serialiser takes a value, what users register, and where the limits are."""

import json
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caching_core.codec import BaseSerializer, Channel, Codec, Packed, Refusal, Refused, SerializerId
from caching_core.errors import ConfigInvalid, ValueNotKept, ValueTooLarge

LIFE = {"created_ms": 1, "soft_ms": None, "hard_ms": None, "version_no": 1, "epoch": b"e", "seq": 1}


class Reversed(BaseSerializer):
    def serialize(self, obj):
        return obj[::-1].encode()

    def deserialize(self, data):
        return data.decode()[::-1]


@pytest.mark.parametrize(
    ("value", "serializer", "raw"),
    [
        (b"abc", SerializerId.BYTES, b"abc"),
        (b"", SerializerId.BYTES, b""),
        (7, SerializerId.INT, b"7"),
        (-(2**63), SerializerId.INT, b"-9223372036854775808"),
        (2**63, SerializerId.MSGPACK, b"\xcf\x80" + bytes(7)),
        (True, SerializerId.MSGPACK, b"\xc3"),
        (None, SerializerId.MSGPACK, b"\xc0"),
        ("a", SerializerId.MSGPACK, b"\xa1a"),
    ],
)
def test_which_serializer_takes_what(value, serializer, raw):
    packed = Codec().pack(value)
    assert (packed.serializer, packed.raw) == (serializer, raw)
    assert Codec().unpack(packed) == value
    assert type(Codec().unpack(packed)) is type(value)


@pytest.mark.parametrize("raw", [b"", b" 1", b"1_0", b"+1", b"01", b"-0", b"1.0", "\u0661".encode(), b"9" * 5000])
def test_only_the_plain_form_of_an_integer_is_one(raw):
    with pytest.raises(Refused):
        Codec().unpack(Packed(SerializerId.INT, raw))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4),
    max_leaves=15,
)


@given(value=json_values)
@settings(deadline=None)
def test_json_is_exact_and_json(value):
    codec = Codec(serializer="json")
    packed = codec.pack(value)
    assert packed.serializer == SerializerId.JSON
    assert repr(codec.unpack(packed)) == repr(value)
    assert json.loads(packed.raw) == value


@pytest.mark.parametrize(
    "value",
    [(1,), {1: 2}, {1}, b"a", float("nan"), float("inf"), 2**64, -(2**63) - 1, "\ud800", {"\ud800": 1}, [object()], Reversed(), [[(1,)]]],
)
def test_json_refuses_what_it_would_change(value):
    with pytest.raises(ValueNotKept):
        Codec().pack(value, serializer="json")


def test_json_refuses_a_value_that_contains_itself():
    value = []
    value.append(value)
    with pytest.raises(ValueNotKept):
        Codec().pack(value, serializer="json")


@pytest.mark.parametrize("raw", [b"", b"{", b"NaN", b"[1,]", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(raw):
    with pytest.raises(Refused) as refused:
        Codec().unpack(Packed(SerializerId.JSON, raw))
    assert refused.value.reason is Refusal.VALUE


def test_a_users_serializer_is_named_in_the_frame():
    codec = Codec()
    codec.register("reversed", Reversed())
    box = Channel("t", "n", None, codec)
    opened = box.open("k", box.seal("k", codec.pack("abc", serializer="reversed"), **LIFE))
    assert opened.serializer == SerializerId.USER == 127
    assert opened.user == opened.serializer_name == "reversed"
    assert opened.raw == b"cba"
    assert codec.unpack(opened) == "abc"
    with pytest.raises(Refused) as refused:
        Codec().unpack(opened)
    assert refused.value.reason is Refusal.SERIALIZER


def test_a_users_serializer_may_be_the_default():
    codec = Codec(serializer="reversed")
    with pytest.raises(ConfigInvalid, match="reversed"):
        codec.pack("abc")
    codec.register("reversed", Reversed())
    assert codec.pack("abc").raw == b"cba"


def test_errors_of_a_users_serializer_are_mapped():
    class Broken(Reversed):
        def serialize(self, obj):
            return "text" if obj else 1 / 0

        def deserialize(self, data):
            raise KeyError(data)

    codec = Codec()
    codec.register("broken", Broken())
    with pytest.raises(ValueNotKept, match="ZeroDivisionError"):
        codec.pack(0, serializer="broken")
    with pytest.raises(ValueNotKept, match="str instead of bytes"):
        codec.pack(1, serializer="broken")
    with pytest.raises(Refused) as refused:
        codec.unpack(Packed(127, b"x", user="broken"))
    assert refused.value.reason is Refusal.VALUE


@pytest.mark.parametrize(
    ("name", "serializer"), [("msgpack", Reversed()), ("json", Reversed()), ("", Reversed()), ("x" * 256, Reversed()), ("a", object())]
)
def test_registration_refuses_bad_names_and_others_objects(name, serializer):
    with pytest.raises(ConfigInvalid):
        Codec().register(name, serializer)


@pytest.mark.parametrize("number", [SerializerId.PICKLE, SerializerId.HTTP, SerializerId.NUMPY, 99, 127])
def test_numbers_without_a_reader_are_refused(number):
    with pytest.raises(Refused) as refused:
        Codec().unpack(Packed(number, b"cos\nsystem\n(S'true'\ntR."))
    assert refused.value.reason is Refusal.SERIALIZER


@pytest.mark.parametrize("serializer", ["msgpack", "json"])
def test_values_above_the_limit_are_too_large(serializer):
    codec = Codec(max_value_bytes=100)
    assert len(codec.pack("a" * 98, serializer=serializer).raw) == 100
    with pytest.raises(ValueTooLarge, match="max_value_bytes"):
        codec.pack("a" * 101, serializer=serializer)
    with pytest.raises(ValueTooLarge):
        codec.pack(bytes(101))


def test_a_packed_value_does_not_show_itself():
    assert "secret" not in repr(Codec().pack("secret"))


def test_plain_bytes_are_decoded_without_the_hook():
    codec = Codec()
    plain, special = codec.pack([1, 2]), codec.pack([1, (2,)])
    assert not isinstance(codec.loader(plain), partial)
    assert codec.loader(special)(special.raw) == [1, (2,)]
