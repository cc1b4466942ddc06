"""Registered classes come back equal, and not at all once their shape has changed."""

import dataclasses
import enum
from functools import cached_property
from typing import Any

import pydantic
import pytest

from caching_core.codec import Channel, Codec, Refusal, Refused
from caching_core.errors import ConfigInvalid, ValueNotKept

LIFE = {"created_ms": 1, "soft_ms": None, "hard_ms": None, "version_no": 1, "epoch": b"e", "seq": 1}


class Color(enum.Enum):
    RED = "r"
    CRIMSON = "r"  # noqa: PIE796 - an alias must come back as its member
    GREEN = "g"


class Level(enum.IntEnum):
    LOW = 1


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Point:
    x: int
    y: Any = 0
    made: int = dataclasses.field(default=0, init=False)

    def __post_init__(self) -> None:
        self.made += 1


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    at: Point


@dataclasses.dataclass
class Lazy:
    x: int

    @cached_property
    def half(self) -> list[int]:
        return [self.x // 2]


class User(pydantic.BaseModel):
    name: str
    tags: tuple[str, ...] = ()
    color: Color = Color.RED


class Loose(pydantic.BaseModel, extra="allow"):
    a: int


class Private(pydantic.BaseModel):
    a: int
    _hidden: list = pydantic.PrivateAttr(default_factory=list)


class Root(pydantic.RootModel[list[int]]):
    pass


@pytest.fixture(params=["fast", "reference"])
def codec(request):
    codec = Codec(library=request.param)
    for cls in (Color, Level, Rights, Point, Frozen, Lazy, User, Loose, Private, Root):
        codec.register_class(cls)
    return codec


VALUES = [
    Color.RED,
    Color.CRIMSON,
    Level.LOW,
    Rights.READ | Rights.WRITE,
    Rights(0),
    Point(1, (2, {3})),
    Frozen("a", Point(1)),
    User(name="n", tags=("a", "b"), color=Color.GREEN),
    User(name="n"),
    Loose(a=1, b=[2]),
    Root([1, 2]),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_registered_values_come_back_equal(codec, value):
    for placed in (value, [value], {"k": (value,)}, {1: value}):
        back = codec.unpack(codec.pack(placed))
        assert back == placed
        assert type(back) is type(placed)
    assert codec.unpack(codec.pack({Color.RED: 1})) == {Color.RED: 1}


def test_an_enum_member_is_the_member_and_init_does_not_run_again(codec):
    assert codec.unpack(codec.pack(Color.GREEN)) is Color.GREEN
    assert codec.unpack(codec.pack(Point(1))).made == 1
    back = codec.unpack(codec.pack(User(name="n")))
    assert back.model_fields_set == {"name"}


def test_the_schema_stands_in_the_metadata(codec):
    packed = codec.pack([Color.RED, User(name="n")])
    assert set(packed.schema) == {f"{__name__}.Color", f"{__name__}.User"}
    box = Channel("t", "n", None, codec)
    opened = box.open("k", box.seal("k", packed, **LIFE))
    assert dict(opened.schema) == packed.schema
    assert codec.unpack(opened) == [Color.RED, User(name="n")]


def test_another_shape_or_an_unknown_class_is_refused_as_schema(codec):
    box = Channel("t", "n", None, codec)
    frame = box.seal("k", codec.pack(Point(1)), **LIFE)
    changed = Codec()
    changed.register_class(dataclasses.make_dataclass("Point", ["x", "y"]), name=f"{__name__}.Point")
    for other in (changed, Codec()):
        with pytest.raises(Refused) as refused:
            Channel("t", "n", None, other).open("k", frame)
        assert refused.value.reason is Refusal.SCHEMA


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (enum.Enum("E", ["A", "B"]), enum.Enum("E", ["A", "C"])),
        (dataclasses.make_dataclass("D", [("a", int)]), dataclasses.make_dataclass("D", [("a", str)])),
        (dataclasses.make_dataclass("D", [("a", int)]), dataclasses.make_dataclass("D", [("a", int), ("b", int)])),
        (pydantic.create_model("M", a=(int, 1)), pydantic.create_model("M", a=(str, "1"))),
        (enum.Flag("F", ["A", "B"]), enum.Flag("F", ["B", "A"])),
    ],
)
def test_each_change_of_shape_changes_the_fingerprint(before, after):
    prints = []
    for cls in (before, after):
        codec = Codec()
        codec.register_class(cls, name="c")
        value = (
            next(iter(cls))
            if issubclass(cls, enum.Enum)
            else cls(**{field: 1 for field in ("a", "b") if field in getattr(cls, "__dataclass_fields__", ())})
        )
        prints.append(codec.pack(value).schema["c"])
    assert prints[0] != prints[1]


def test_attributes_that_would_be_lost_are_refused(codec):
    point = Point(1)
    point.note = "beside"
    lazy = Lazy(4)
    assert codec.unpack(codec.pack(lazy)) == lazy
    assert lazy.half == [2]
    partial = Point.__new__(Point)
    private = Private(a=1)
    for value in (point, lazy, partial, private):
        with pytest.raises(ValueNotKept):
            codec.pack(value)


def test_registration_refuses_what_it_cannot_keep(codec):
    class Plain:
        pass

    with pytest.raises(ConfigInvalid, match="serializer"):
        codec.register_class(Plain)
    with pytest.raises(ConfigInvalid, match="taken"):
        codec.register_class(Level, name=f"{__name__}.Color")
    with pytest.raises(ConfigInvalid, match="already"):
        codec.register_class(Color, name="another")
    codec.register_class(Color)  # the same again changes nothing


def test_a_subclass_is_not_its_registered_base(codec):
    class Special(Point):
        pass

    with pytest.raises(ValueNotKept, match="Special"):
        codec.pack(Special(1))
