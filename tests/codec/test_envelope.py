"""The frame, byte by byte, and everything that must not open it."""

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caching_core.codec import (
    OVERHEAD,
    Channel,
    Codec,
    CompressorId,
    Flag,
    Opened,
    Packed,
    Refusal,
    Refused,
    SerializerId,
    frame_key_id,
    frame_nonce,
)
from caching_core.codec._frame import LAYOUT
from caching_core.crypto import DataKey, TenantKeys, Xaes256Gcm, key_id_of
from caching_core.errors import KeyInvalid, ValueTooLarge
from caching_core.types import CompressionAlgorithm

ROOT = bytes(range(32))
EPOCH = b"epoch-01"
LIFE = {"created_ms": 1_700_000_000_000, "soft_ms": 60_000, "hard_ms": 120_000, "version_no": 5 << 20, "epoch": EPOCH, "seq": 7}


def keys_of(*roots: bytes, tenant: str = "acme") -> TenantKeys:
    keys = [DataKey(root) for root in roots]
    by_id = {key.key_id: key for key in keys}
    return TenantKeys(tenant, keys[0], by_id, name_key=bytes(32), dictionary_key=bytes(32), loaded=0.0, expires_at=1e9)


def channel(*, tenant="acme", namespace="default", keys=None, codec=None, plain=False) -> Channel:
    return Channel(tenant, namespace, None if plain else keys or keys_of(ROOT), codec or Codec())


def refusal(box: Channel, key: str, frame: bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        box.open(key, frame)
    return caught.value


@pytest.fixture(params=["sealed", "plain"])
def box(request) -> Channel:
    return channel(plain=request.param == "plain")


def test_a_frame_is_laid_out_as_the_contract_says():
    frame = channel().seal("user:1", Packed(1, b"\x93\x01\x02\x03"), tags=("a", "b"), cost_ms=250, flags=Flag.STALE_IF_ERROR, **LIFE)
    assert frame[:4] == b"\xcc\xe1\x01\x01"
    assert frame[4:6] == b"\x00\x04"
    assert frame[6] == SerializerId.MSGPACK == 1
    assert frame[7] == CompressorId.NONE == 0
    assert int.from_bytes(frame[8:12]) == 4
    assert int.from_bytes(frame[12:16]) == 250
    assert int.from_bytes(frame[16:24]) == LIFE["created_ms"]
    assert int.from_bytes(frame[24:28]) == 6_000
    assert int.from_bytes(frame[28:32]) == 12_000
    assert int.from_bytes(frame[32:40]) == LIFE["version_no"]
    assert frame[40:56] == key_id_of(ROOT) == frame_key_id(frame)
    assert frame[56:80] == frame_nonce(frame)
    # Any XAES-256-GCM opens it, with the header and the length-prefixed names as associated data.
    names = b"".join(len(name).to_bytes(4) + name for name in (b"acme", b"default", b"user:1"))
    body = Xaes256Gcm(ROOT).open(frame[56:80], frame[80:], frame[:80] + names)
    meta_len = int.from_bytes(body[:2])
    assert msgpack.unpackb(body[2 : 2 + meta_len]) == [EPOCH, 7, ["a", "b"]]
    assert body[2 + meta_len :] == b"\x93\x01\x02\x03"
    assert len(frame) == OVERHEAD + len(body)
    assert OVERHEAD == 96


def test_a_plain_frame_has_no_key_and_a_checksum_at_the_end():
    frame = channel(plain=True).seal("k", Packed(0, b"text"), **LIFE)
    assert frame[:4] == b"\xcc\xe0\x01\x01"
    assert frame[40:68] == bytes(28)
    other = channel(plain=True).seal("k", Packed(0, b"text"), **LIFE)
    assert frame_nonce(frame) != frame_nonce(other), "a compare-and-swap tells plain frames apart, too"
    assert frame[-16:-4] == bytes(12)
    assert b"text" in frame


def test_what_was_put_in_comes_out(box):
    frame = box.seal("k", Packed(0, b"text"), tags=("a",), cost_ms=9, flags=Flag.NEGATIVE | Flag.HIGH, stored_key=True, **LIFE)
    opened = box.open("k", frame)
    assert opened == Opened(
        raw=b"text",
        serializer=0,
        user=None,
        schema=None,
        flags=17,
        cost_ms=9,
        created_ms=1_700_000_000_000,
        soft_at_ms=1_700_000_060_000,
        hard_at_ms=1_700_000_120_000,
        version_no=5 << 20,
        epoch=EPOCH,
        seq=7,
        tags=("a",),
        nonce=frame[56:80],
        stored_key="k",
        compressor=0,
    )
    assert opened.serializer_name == "bytes"
    assert opened.compressor_name == "none"
    assert "text" not in repr(opened)


@pytest.mark.parametrize(
    ("ms", "at"),
    [
        (None, None),
        (0, 0),
        (-5, 0),
        (9, 0),
        (10, 10),
        (129, 120),
        ((2**32 - 2) * 10, (2**32 - 2) * 10),
        ((2**32 - 1) * 10, None),
        (10**15, None),
    ],
)
def test_lifetimes_are_whole_units_of_ten_milliseconds_or_for_ever(box, ms, at):
    frame = box.seal("k", Packed(0, b""), **{**LIFE, "soft_ms": ms, "hard_ms": ms})
    opened = box.open("k", frame)
    expected = None if at is None else LIFE["created_ms"] + at
    assert (opened.soft_at_ms, opened.hard_at_ms) == (expected, expected)


def test_a_cost_beyond_the_field_is_the_largest(box):
    for cost, kept in [(-1, 0), (0, 0), (2**32 - 1, 2**32 - 1), (2**40, 2**32 - 1)]:
        assert box.open("k", box.seal("k", Packed(0, b""), cost_ms=cost, **LIFE)).cost_ms == kept


@pytest.mark.parametrize("size", [0, 1, 63, 64, 300])
def test_every_flipped_bit_is_refused(box, size):
    frame = box.seal("k", Packed(0, bytes(range(256))[:size] * 2), tags=("t",), **LIFE)
    for position in range(len(frame) * 8):
        wrong = bytearray(frame)
        wrong[position // 8] ^= 1 << position % 8
        refusal(box, "k", bytes(wrong))
    assert box.open("k", frame)


@pytest.mark.parametrize("algorithm", list(CompressionAlgorithm))
def test_every_truncation_and_every_addition_is_refused(box, algorithm):
    codec = Codec(compression=algorithm)
    box = Channel("acme", "default", box._keys, codec)
    frame = box.seal("k", codec.pack(b"abc" * 2000), **LIFE)
    for cut in range(len(frame)):
        refusal(box, "k", frame[:cut])
        if cut:
            refusal(box, "k", frame[cut:])
    for more in (b"\0", b"\xff" * 16, frame):
        refusal(box, "k", frame + more)


@given(data=st.binary(max_size=300))
@settings(deadline=None)
def test_random_bytes_are_refused_and_nothing_else(data):
    for box in (channel(), channel(plain=True)):
        for head in (b"", b"\xcc\xe1\x01\x01", b"\xcc\xe0\x01\x01", b"\xcc\xe1\x01\x01" + bytes(36) + key_id_of(ROOT)):
            refusal(box, "k", head + data)
            with pytest.raises(Refused):
                box.open_listed(head + data)


@given(
    key=st.text(st.characters(codec="utf-8")),
    raw=st.binary(max_size=400),
    tags=st.lists(st.text(st.characters(codec="utf-8"), max_size=5), max_size=3).map(tuple),
)
@settings(deadline=None)
def test_any_key_value_and_tags_come_back(key, raw, tags):
    for box in (channel(), channel(plain=True)):
        opened = box.open(key, box.seal(key, Packed(0, raw), tags=tags, **LIFE))
        assert (opened.raw, opened.tags) == (raw, tags)


def test_a_frame_moved_elsewhere_is_refused(box):
    plain = box._keys is None
    frame = box.seal("k", Packed(0, b"text"), **LIFE)
    reason = Refusal.CHECKSUM if plain else Refusal.TAG
    moved = {
        "key": (box, "other"),
        "namespace": (Channel("acme", "other", box._keys, Codec()), "k"),
        "tenant": (Channel("other", "default", box._keys, Codec()), "k"),
        "border between the names": (Channel("acm", "edefault", box._keys, Codec()), "k"),
        "border before the key": (Channel("acme", "defaul", box._keys, Codec()), "tk"),
    }
    for there, key in moved.values():
        refused = refusal(there, key, frame)
        assert refused.reason is reason
        assert refused.tampered is not plain


def test_a_frame_of_another_tenants_key_is_unknown_and_not_tampered():
    frame = channel().seal("k", Packed(0, b"text"), **LIFE)
    refused = refusal(channel(tenant="other", keys=keys_of(bytes(32))), "k", frame)
    assert refused.reason is Refusal.UNKNOWN_KEY
    assert not refused.tampered


EDITS = {
    "hard_ttl up": (28, b"\xff\xff\xff\xff"),
    "soft_ttl up": (24, b"\xff\xff\xff\xff"),
    "version_no up": (32, b"\x7f"),
    "negative": (5, b"\x01"),
    "unknown flag": (4, b"\x80"),
    "compressor": (7, b"\x02"),
    "pickle": (6, b"\x10"),
    "raw_len": (8, b"\x7f\xff\xff\xff"),
    "cost": (12, b"\x01"),
    "created": (16, b"\x01"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_header_is_tampering(edit):
    box = channel()
    frame = bytearray(box.seal("k", Packed(0, b"text"), **LIFE))
    at, data = EDITS[edit]
    frame[at : at + len(data)] = data
    refused = refusal(box, "k", bytes(frame))
    assert refused.reason is Refusal.TAG
    assert refused.tampered


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"\xcc\xe1\x02\x01", Refusal.VERSION),
        (b"\xcc\xe1\x01\x02", Refusal.SUITE),
        (b"\xcc\xe0\x01\x01", Refusal.DOWNGRADE),
        (b"\xcc\xe0\x02\x01", Refusal.VERSION),
        (b"\x80\x04\x95\x01", Refusal.FOREIGN),
    ],
)
def test_another_head_is_not_tampering(head, reason):
    box = channel()
    frame = head + box.seal("k", Packed(0, b"text"), **LIFE)[4:]
    refused = refusal(box, "k", frame)
    assert refused.reason is reason
    assert not refused.tampered


def test_a_plain_frame_is_refused_where_there_are_keys_and_a_sealed_one_where_there_are_none():
    assert refusal(channel(), "k", channel(plain=True).seal("k", Packed(0, b"x"), **LIFE)).reason is Refusal.DOWNGRADE
    assert refusal(channel(plain=True), "k", channel().seal("k", Packed(0, b"x"), **LIFE)).reason is Refusal.UNKNOWN_KEY


def test_short_bytes_are_foreign_or_too_short():
    assert refusal(channel(), "k", b"").reason is Refusal.FOREIGN
    assert refusal(channel(), "k", b"\x00" * 97).reason is Refusal.FOREIGN
    assert refusal(channel(), "k", b"\xcc\xe1" + bytes(20)).reason is Refusal.LENGTH


def authentic(*, flags=0, serializer=0, compressor=0, raw_len=4, body=None) -> tuple[Channel, bytes]:
    """Seal a header and body of our own making under the right key."""
    box = channel()
    meta = msgpack.packb([EPOCH, 7, []])
    body = len(meta).to_bytes(2) + meta + b"text" if body is None else body
    nonce = bytes(24)
    header = LAYOUT.pack(0xCCE10101, flags, serializer, compressor, raw_len, 0, 1, 1, 1, 1, key_id_of(ROOT) + nonce[:12], nonce[12:])
    names = b"".join(len(name).to_bytes(4) + name for name in (b"acme", b"default", b"k"))
    return box, header + Xaes256Gcm(ROOT).seal(nonce, body, header + names)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"flags": 0x8000}, Refusal.FLAGS),
        ({"flags": 8}, Refusal.FLAGS),
        ({"serializer": SerializerId.PICKLE}, Refusal.SERIALIZER),
        ({"serializer": SerializerId.HTTP}, Refusal.SERIALIZER),
        ({"serializer": 99}, Refusal.SERIALIZER),
        ({"compressor": CompressorId.ZSTD_DICTIONARY}, Refusal.DICTIONARY),
        ({"compressor": 9}, Refusal.COMPRESSOR),
        ({"compressor": CompressorId.ZSTD}, Refusal.COMPRESSOR),
        ({"compressor": CompressorId.LZ4}, Refusal.COMPRESSOR),
        ({"raw_len": 5}, Refusal.LENGTH),
        ({"body": b"\x00"}, Refusal.LENGTH),
        ({"body": b""}, Refusal.LENGTH),
        ({"body": b"\xff\xfftext"}, Refusal.METADATA),
        ({"body": b"\x00\x01\x90text"}, Refusal.METADATA),
        ({"body": b"\x00\x01\xc1text"}, Refusal.METADATA),
        ({"body": b"\x00\x06\x93\xc4\x00\x01\x91\x01text"}, Refusal.METADATA),
        ({"body": b"\x00\x05\x93\xa0\x01\x90\x00text"}, Refusal.METADATA),
    ],
)
def test_what_this_release_does_not_know_is_never_taken_for_tampering(change, reason):
    box, frame = authentic(**change)
    refused = refusal(box, "k", frame)
    assert refused.reason is reason
    assert not refused.tampered


def test_the_maker_of_authentic_frames_makes_good_ones():
    box, frame = authentic()
    assert box.open("k", frame).raw == b"text"


def test_each_message_has_its_own_nonce_and_the_batch_its_prefix():
    box = channel()
    nonces = {frame_nonce(box.seal("k", Packed(0, b""), **LIFE)) for _ in range(500)}
    assert len(nonces) == 500
    assert len({nonce[:12] for nonce in nonces}) == 1


def test_frames_of_every_key_of_the_tenant_open():
    old = channel(keys=keys_of(ROOT)).seal("k", Packed(0, b"old"), **LIFE)
    box = channel(keys=keys_of(bytes(32), ROOT))
    assert box.open("k", old).raw == b"old"
    assert frame_key_id(box.seal("k", Packed(0, b""), **LIFE)) == key_id_of(bytes(32))


def test_a_key_inside_is_found_without_knowing_it(box):
    for size in (0, 200_000):
        frame = box.seal("a long: key", Packed(0, bytes(size)), stored_key=True, tags=("t",), **LIFE)
        key, opened = box.open_listed(frame)
        assert key == opened.stored_key == "a long: key"
        assert opened.raw == bytes(size)
    with pytest.raises(Refused) as refused:
        box.open_listed(box.seal("k", Packed(0, b"x"), **LIFE))
    assert refused.value.reason is Refusal.METADATA


def test_a_key_inside_is_not_believed_before_the_tag(box):
    frame = bytearray(box.seal("key-one", Packed(0, b"x"), stored_key=True, **LIFE))
    at = len(frame) - 16 - 1 - 1  # the last letter of the key: counter mode lets it be changed at will
    frame[at] ^= 1
    with pytest.raises(Refused) as refused:
        box.open_listed(bytes(frame))
    assert refused.value.reason in (Refusal.TAG, Refusal.CHECKSUM)


def test_what_cannot_be_framed_is_an_error_of_the_caller(box):
    with pytest.raises(ValueError, match="flags"):
        box.seal("k", Packed(0, b""), flags=8, **LIFE)
    with pytest.raises(KeyInvalid):
        box.seal("\ud800", Packed(0, b""), **LIFE)
    with pytest.raises(ValueTooLarge, match="tags"):
        box.seal("k", Packed(0, b""), tags=("x" * 70_000,), **LIFE)
    frame = box.seal("k", Packed(0, b""), **LIFE)
    with pytest.raises(KeyInvalid):
        box.open("\ud800", frame)


def test_a_frame_longer_than_the_limit_is_refused_before_it_is_decrypted():
    small = channel(codec=Codec(max_value_bytes=100))
    frame = channel().seal("k", Packed(0, bytes(200_000)), **LIFE)
    assert refusal(small, "k", frame).reason is Refusal.LENGTH
    assert refusal(small, "k", channel().seal("k", Packed(0, bytes(101)), **LIFE)).reason is Refusal.LENGTH


def test_high_values_are_not_compressed():
    codec = Codec(compression=CompressionAlgorithm.ZSTD)
    box = channel(codec=codec)
    packed = codec.pack(b"a" * 5000)
    assert box.seal("k", packed, **LIFE)[7] == CompressorId.ZSTD
    assert box.seal("k", packed, flags=Flag.HIGH, **LIFE)[7] == CompressorId.NONE


def test_nothing_of_the_text_stands_in_a_sealed_frame():
    frame = channel().seal("a-marked-key", Packed(0, b"a-marked-value"), tags=("a-marked-tag",), stored_key=True, **LIFE)
    assert b"marked" not in frame
    assert b"acme" not in frame
