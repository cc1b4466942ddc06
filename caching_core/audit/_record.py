"""One audit record: what it says, how it is made safe to write down, and how it is read back."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Final, cast

import orjson

from caching_core.audit._privacy import Privacy

VERSION: Final = 1
LONGEST: Final = 256
_MOST: Final = 32
_LARGEST: Final = 2**53


class AuditClass(enum.StrEnum):
    """What a record is about, and with it what may happen to it under overload."""

    ADMIN = "ADMIN"
    AUTH = "AUTH"
    SECURITY = "SECURITY"
    SYSTEM = "SYSTEM"

    __hash__ = str.__hash__  # Enum's own is a Python call, and each denial is counted by its class


class Outcome(enum.StrEnum):
    """How the recorded thing ended."""

    OK = "ok"
    DENIED = "denied"
    ERROR = "error"


Detail = Mapping[str, object]
# class, action, outcome, tenant, actor type, actor id, ip, request, namespace, key, count, detail, private, seconds
Entry = tuple[AuditClass, str, Outcome, str, str, str, str, str, str, str, int, Detail | None, Mapping[str, str] | None, float]
Body = dict[str, Any]  # JSON: text, integers, truth values, lists and mappings of them


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """A record as it stands in the log. ``at_ms`` is Unix time; actor, ip and key are keyed hashes, ``pii`` is sealed."""

    seq: int
    at_ms: int
    cls: str
    action: str
    outcome: str
    tenant: str
    actor_type: str
    actor: str
    ip: str
    request: str
    namespace: str
    key: str
    count: int
    detail: Mapping[str, object] = field(default_factory=dict[str, object])
    pii: str = field(default="", repr=False)


def clean(text: str) -> str:
    """Cut to 256 characters and escape what does not print, so that no field can forge a line or steer a terminal.

    The backslash is escaped too: an escaped line feed and the two characters that look like it stay different.
    """
    if len(text) <= LONGEST and text.isprintable() and "\\" not in text:
        return text
    cut = f"…+{len(text) - LONGEST}" if len(text) > LONGEST else ""
    return "".join(map(_escaped, text[:LONGEST])) + cut


def body_of(entry: Entry, privacy: Privacy) -> Body:
    """Turn an entry of the queue into a record without its place in the chain; never raises on what a caller passed."""
    cls, action, outcome, tenant, actor_type, actor, ip, request, namespace, key, count, detail, private, seconds = entry
    tenant = clean(str(tenant))
    clear = {name: clean(str(value)) for name, value in (("actor", actor), ("ip", ip), ("key", key)) if value}
    if private:
        clear |= {clean(str(name)): clean(str(value)) for name, value in list(private.items())[:_MOST]}
    return {
        "v": VERSION,
        "ts": int(seconds * 1000),
        "class": str(cls),
        "action": clean(str(action)),
        "outcome": str(outcome),
        "tenant": tenant,
        "actor": {"type": clean(str(actor_type)), "id": privacy.hashed(tenant, "actor", str(actor)) if actor else ""},
        "source": {"ip": privacy.hashed(tenant, "ip", str(ip)) if ip else "", "request": clean(str(request))},
        "object": {"namespace": clean(str(namespace)), "key": privacy.hashed(tenant, "key", str(key)) if key else ""},
        "count": _plain(count),
        "detail": _detail(detail) if detail else {},
        "pii": privacy.seal(tenant, canonical(clear)) if clear else "",
    }


def canonical(value: object) -> bytes:
    """Return the one JSON text of ``value``: sorted keys, UTF-8, no spaces."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def parse_record(text: bytes) -> AuditRecord:
    """Read a record back; ValueError, KeyError or TypeError where it is not one."""
    body = orjson.loads(text)
    return AuditRecord(
        seq=body["seq"],
        at_ms=body["ts"],
        cls=body["class"],
        action=body["action"],
        outcome=body["outcome"],
        tenant=body["tenant"],
        actor_type=body["actor"]["type"],
        actor=body["actor"]["id"],
        ip=body["source"]["ip"],
        request=body["source"]["request"],
        namespace=body["object"]["namespace"],
        key=body["object"]["key"],
        count=body["count"],
        detail=body["detail"],
        pii=body["pii"],
    )


def _escaped(character: str) -> str:
    if character.isprintable() and character != "\\":
        return character
    point = ord(character)
    if character == "\\":
        return "\\\\"
    if point <= 0xFF:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"


def _detail(detail: Detail) -> dict[str, object]:
    return {clean(str(name)): _value(value) for name, value in list(detail.items())[:_MOST]}


def _value(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_plain(part) for part in cast("Sequence[object]", value)[:_MOST]]
    return _plain(value)


def _plain(value: object) -> object:
    """Keep text, whole numbers and truth values; write anything else down as text, since a log has integers only."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if -_LARGEST < value < _LARGEST else clean(hex(value))
    if isinstance(value, str | PurePath):
        return clean(str(value))
    if isinstance(value, bytes | bytearray):
        return clean(bytes(value).hex())
    return clean(repr(value)) if isinstance(value, float) else clean(f"<{type(value).__name__}>")
