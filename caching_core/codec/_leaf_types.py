"""Extension types that hold no other value: times, Decimal, UUID, complex, bytearray, large integers."""

import struct
import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

# The numbers of the ext types stand in stored frames and never change.
DATETIME: Final = 1
DATE: Final = 2
TIME: Final = 3
TIMEDELTA: Final = 4
DECIMAL: Final = 5
UUID: Final = 6
SET: Final = 7
FROZENSET: Final = 8
TUPLE: Final = 9
COMPLEX: Final = 10
BYTEARRAY: Final = 11
BIG_INT: Final = 12
MAP: Final = 13
CLASS: Final = 14
NDARRAY: Final = 15

_DATETIME: Final = struct.Struct(">HBBBBBIB")
_DATE: Final = struct.Struct(">HBB")
_TIME: Final = struct.Struct(">BBBIB")
_TIMEDELTA: Final = struct.Struct(">iII")
_COMPLEX: Final = struct.Struct(">dd")
_NAIVE: Final = b""
_UTC: Final = b"U"
_OFFSET: Final = b"O"
_ZONE: Final = b"Z"


class ZoneNotKept(TypeError):
    """A time zone that has no name to find it by."""


def _pack_zone(zone: Any) -> bytes:
    if zone is None:
        return _NAIVE
    if zone is timezone.utc:  # noqa: UP017 - datetime.UTC is the same object; the constructor below speaks of timezone
        return _UTC
    if type(zone) is ZoneInfo and zone.key:
        return _ZONE + str(zone.key).encode()
    if type(zone) is timezone:
        arguments: Any = zone.__reduce__()[1]  # what pickle uses: the offset, and the name only if one was given
        offset, *name = arguments
        return _OFFSET + _pack_timedelta(offset) + (b"N" + name[0].encode() if name else b"")
    raise ZoneNotKept


def _unpack_zone(data: bytes) -> tzinfo | None:
    kind = data[:1]
    if kind == _NAIVE:
        return None
    if data == _UTC:
        return timezone.utc  # noqa: UP017 - as above
    if kind == _ZONE:
        return ZoneInfo(data[1:].decode())
    if kind != _OFFSET:
        raise ValueError("unknown kind of time zone")
    end = 1 + _TIMEDELTA.size
    offset = _unpack_timedelta(data[1:end])
    return timezone(offset, data[end + 1 :].decode()) if data[end : end + 1] == b"N" else timezone(offset)


def _pack_datetime(value: datetime) -> bytes:
    fields = _DATETIME.pack(value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond, value.fold)
    zone = value.tzinfo
    return fields if zone is None else fields + _pack_zone(zone)


def _unpack_datetime(data: bytes) -> datetime:
    year, month, day, hour, minute, second, microsecond, fold = _DATETIME.unpack_from(data)
    return datetime(year, month, day, hour, minute, second, microsecond, _unpack_zone(data[_DATETIME.size :]), fold=fold)


def _pack_date(value: date) -> bytes:
    return _DATE.pack(value.year, value.month, value.day)


def _unpack_date(data: bytes) -> date:
    return date(*_DATE.unpack(data))


def _pack_time(value: time) -> bytes:
    return _TIME.pack(value.hour, value.minute, value.second, value.microsecond, value.fold) + _pack_zone(value.tzinfo)


def _unpack_time(data: bytes) -> time:
    hour, minute, second, microsecond, fold = _TIME.unpack_from(data)
    return time(hour, minute, second, microsecond, _unpack_zone(data[_TIME.size :]), fold=fold)


def _pack_timedelta(value: timedelta) -> bytes:
    return _TIMEDELTA.pack(value.days, value.seconds, value.microseconds)


def _unpack_timedelta(data: bytes) -> timedelta:
    return timedelta(*_TIMEDELTA.unpack(data))


def _pack_decimal(value: Decimal) -> bytes:
    return str(value).encode()


def _unpack_decimal(data: bytes) -> Decimal:
    return Decimal(data.decode("ascii"))


def _pack_uuid(value: uuid.UUID) -> bytes:
    return value.bytes


def _unpack_uuid(data: bytes) -> uuid.UUID:
    return uuid.UUID(bytes=data)


def _pack_complex(value: complex) -> bytes:
    return _COMPLEX.pack(value.real, value.imag)


def _unpack_complex(data: bytes) -> complex:
    return complex(*_COMPLEX.unpack(data))


def _pack_big_int(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, signed=True)


def _unpack_big_int(data: bytes) -> int:
    return int.from_bytes(data, signed=True)


LEAF_PACKERS: Final[Mapping[type, tuple[int, Callable[[Any], bytes]]]] = {
    datetime: (DATETIME, _pack_datetime),
    date: (DATE, _pack_date),
    time: (TIME, _pack_time),
    timedelta: (TIMEDELTA, _pack_timedelta),
    Decimal: (DECIMAL, _pack_decimal),
    uuid.UUID: (UUID, _pack_uuid),
    complex: (COMPLEX, _pack_complex),
    bytearray: (BYTEARRAY, bytes),
    int: (BIG_INT, _pack_big_int),  # met only beyond 64 bits
}

LEAF_UNPACKERS: Final[Mapping[int, Callable[[bytes], Any]]] = {
    DATETIME: _unpack_datetime,
    DATE: _unpack_date,
    TIME: _unpack_time,
    TIMEDELTA: _unpack_timedelta,
    DECIMAL: _unpack_decimal,
    UUID: _unpack_uuid,
    COMPLEX: _unpack_complex,
    BYTEARRAY: bytearray,
    BIG_INT: _unpack_big_int,
}

CONTAINER_TAGS: Final[Mapping[type, int]] = {set: SET, frozenset: FROZENSET, tuple: TUPLE}
