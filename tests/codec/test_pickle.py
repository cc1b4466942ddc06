"""Pickle: only what msgpack does not keep, only by the list, only sealed."""

import collections
import copyreg
import datetime as dt
import decimal
import os
import pickle
import subprocess
import sys
import uuid
import zoneinfo
from pathlib import Path

import pytest

from caching_core import SyncCacheManager
from caching_core.codec import Channel, Codec, Packed, PickleSerializer, Refusal, Refused, SerializerId, ValueNotPickled
from caching_core.codec._pickle import named_in
from caching_core.errors import ValueNotKept

HERE = __name__


class Plain:
    """A class that only pickle can keep."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return type(other) is Plain and other.text == self.text

    __hash__ = None


class Gadget:
    """A value whose pickle starts a program when it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self):
        return os.system, (f"touch {self._path}",)


class Unwilling:
    """A value that says no."""

    def __getstate__(self):
        raise pickle.PickleError("the secret word")


def codec(mode="django", allow=()):
    return Codec(pickle=None if mode == "off" else PickleSerializer(mode, allow))


KEPT_BY_MSGPACK = [
    None,
    True,
    7,
    2**80,
    1.5,
    "text",
    b"bytes",
    [1, (2, 3), {4}],
    {"a": {1: 2}},
    dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    decimal.Decimal("1.20"),
    uuid.UUID(int=7),
]
PICKLED = [
    collections.OrderedDict(a=1),
    collections.Counter("aab"),
    collections.defaultdict(list, a=[1]),
    collections.deque([1, 2], maxlen=3),
    Path("a/b"),
    range(3),
    [collections.OrderedDict(a=dt.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")))] * 2,
    dt.time(1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")).tzinfo,
    "\ud800",
]


@pytest.mark.parametrize("value", KEPT_BY_MSGPACK, ids=repr)
@pytest.mark.parametrize("mode", ["django", "trusted"])
def test_what_msgpack_keeps_is_never_pickled(mode, value):
    packed = codec(mode).pack(value)
    assert packed.serializer != SerializerId.PICKLE
    assert (packed.serializer, packed.raw) == ((plain := codec("off").pack(value)).serializer, plain.raw)


@pytest.mark.parametrize("value", PICKLED, ids=ascii)
@pytest.mark.parametrize("mode", ["django", "trusted"])
def test_values_of_the_standard_library_come_back(mode, value):
    packed = codec(mode).pack(value)
    assert packed.serializer == SerializerId.PICKLE
    found = codec(mode).unpack(packed)
    assert found == value
    assert type(found) is type(value)


def test_without_pickle_it_is_refused_both_ways():
    with pytest.raises(ValueNotKept):
        codec("off").pack(collections.OrderedDict(a=1))
    with pytest.raises(Refused) as refused:
        codec("off").unpack(codec().pack(collections.OrderedDict(a=1)))
    assert refused.value.reason is Refusal.SERIALIZER


def test_the_writer_refuses_what_its_reader_would_not_read():
    with pytest.raises(ValueNotPickled, match=r"Plain, which is not on the list; add that name to pickle_allow"):
        codec().pack(Plain("secret"))


@pytest.mark.parametrize("allow", [f"{HERE}.Plain", f"{HERE}.*", f"{HERE.partition('.')[0]}*"])
def test_a_class_that_is_allowed_is_kept(allow):
    packed = codec(allow=[allow]).pack([Plain("a")])
    assert codec(allow=[allow]).unpack(packed) == [Plain("a")]
    with pytest.raises(Refused) as refused:
        codec().unpack(packed)
    assert refused.value.reason is Refusal.PICKLE


def test_trusted_takes_functions_and_classes():
    value = {"function": codec, "class": Plain}
    assert codec("trusted").unpack(codec("trusted").pack(value)) == value


@pytest.mark.parametrize("allow", [(), (f"{HERE}.*",), ("subprocess.P*", "posix.*", "os.*", "builtins.*")])
def test_a_gadget_is_neither_written_nor_read(allow, tmp_path):
    mark = tmp_path / "mark"
    with pytest.raises(ValueNotPickled):
        codec(allow=allow).pack(Gadget(mark))
    with pytest.raises(Refused) as refused:
        codec(allow=allow).unpack(Packed(SerializerId.PICKLE, pickle.dumps(Gadget(mark))))
    assert refused.value.reason is Refusal.PICKLE
    assert not mark.exists()


@pytest.mark.parametrize(
    "planted",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cos\nsystem\n(S'true'\ntR.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"ccollections\nabc.sys.modules\n.",
        b"cdatetime\nsys.modules\n.",
        b"\x80\x04\x8c\x08builtins\x8c\x07getattr\x93.",
        b"cdjango.utils.functional\nlazy\n.",
        b"cdjango.utils.functional\nwraps\n.",
        b"\x82\x01.",
        b"",
        b"\x80\x05",
        b"Pid\n.",
        b"\x80\x05X\xff\xff\xff\x7f",
    ],
)
def test_planted_bytes_are_refused_in_one_way(planted):
    with pytest.raises(Refused):
        codec(allow=["datetime.*"]).unpack(Packed(SerializerId.PICKLE, planted))


def test_a_class_is_allowed_only_where_it_is_at_home():
    # This module holds Path, too, as every module holds what it imports.
    planted = f"c{HERE}\nPath\n(S'a'\ntR.".encode()
    with pytest.raises(Refused) as refused:
        codec(allow=[f"{HERE}.*"]).unpack(Packed(SerializerId.PICKLE, planted))
    assert refused.value.reason is Refusal.PICKLE


def test_an_extension_code_is_looked_up(monkeypatch):
    monkeypatch.setattr(copyreg, "_extension_registry", {(HERE, "Plain"): 1})
    monkeypatch.setattr(copyreg, "_inverted_registry", {1: (HERE, "Plain")})
    with pytest.raises(ValueNotPickled, match="Plain"):
        codec().pack(Plain)


@pytest.mark.parametrize("value", [Plain("a"), [Plain("a"), Plain("b"), {"k": Gadget(Path("x"))}], [[Plain], [Plain, codec]] * 300])
def test_everything_that_a_pickle_names_is_seen(value):
    raw, met = pickle.dumps(value, 5), set()

    class Listening(pickle.Unpickler):
        def find_class(self, module, name):
            met.add((module, name))
            return lambda *_args: None

    try:
        Listening(__import__("io").BytesIO(raw)).load()
    except (AttributeError, TypeError, pickle.UnpicklingError):
        pass
    assert met <= set(named_in(raw))
    assert met


def test_what_cannot_be_pickled_says_so_without_its_words():
    with pytest.raises(pickle.PickleError) as refused:
        codec().pack(Unwilling())
    assert isinstance(refused.value, ValueNotKept)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("value", [lambda: 1, open, (item for item in ()), sys])
def test_other_values_are_refused_by_both_modes(value):
    for mode in ("django", "trusted"):
        if value is open and mode == "trusted":
            continue
        with pytest.raises(ValueNotPickled):
            codec(mode).pack(value)


def manager(folder, **settings):
    return SyncCacheManager({"directory": str(folder), **settings})


def test_a_reader_opens_pickle_only_if_its_own_settings_allow(tmp_path):
    allow = [f"{HERE}.Plain"]
    with manager(tmp_path, pickle="django", pickle_allow=allow) as writer:
        assert writer.set("k", Plain("a"), tenant_id="t")
        assert writer.get("k", tenant_id="t") == Plain("a")
        assert writer.get("k", tenant_id="t") == Plain("a")
        assert writer.explain("k", tenant_id="t").serializer == "pickle"
        assert writer.touch("k", 50, tenant_id="t")
        for settings, reason in (({}, "the setting pickle does not allow it"), ({"pickle": "django"}, None)):
            with manager(tmp_path, **settings) as reader:
                assert reader.get("k", "miss", tenant_id="t") == "miss"
                if reason:
                    assert reader.explain("k", tenant_id="t").reason.endswith(reason)
        assert writer.get("k", tenant_id="t") == Plain("a")


def test_memory_gives_each_reader_its_own(tmp_path):
    with manager(tmp_path, pickle="trusted", l2_enabled=False) as alone:
        alone.set("k", collections.OrderedDict(a=[1]), tenant_id="t")
        alone.get("k", tenant_id="t")["a"].append(2)
        assert alone.get("k", tenant_id="t") == {"a": [1]}


def test_reading_the_core_loads_no_disassembler():
    probe = "import sys, caching_core.sync; print('pickletools' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"


FRAME = {"created_ms": 1, "soft_ms": None, "hard_ms": None, "version_no": 1, "epoch": b"e", "seq": 0}


def test_a_plain_frame_never_holds_a_pickle(monkeypatch):
    open_to_all = Codec(pickle=PickleSerializer("trusted"))
    box = Channel("t", "n", None, open_to_all)
    packed = open_to_all.pack(collections.OrderedDict(a=1))
    with pytest.raises(ValueNotKept, match="sealed frame or not at all"):
        box.seal("k", packed, **FRAME)
    # Who may write to the store makes such a frame by himself.
    monkeypatch.setattr("caching_core.codec._channel._PICKLE", -1)
    planted = box.seal("k", packed, **FRAME)
    monkeypatch.undo()
    with pytest.raises(Refused) as refused:
        Channel("t", "n", None, open_to_all).open("k", planted)
    assert refused.value.reason is Refusal.SERIALIZER
