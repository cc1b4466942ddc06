"""A tenant's ledger in the file: epoch, seq, floor and a field per tag and namespace ever invalidated."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

from caching_core.tiers._protocol import BumpNamespace, BumpTags, Ledger, LedgerChange

MOST_TAG_FIELDS: Final = 100_000

_KEPT_TAG_FIELDS: Final = 90_000  # a prune sorts the fields once per 10,000 new ones
_EPOCH_BYTES: Final = 16
_ALL_SOFT: Final = "s:@all"
_NAMESPACE: Final = "n:"
_MARKS: Final = "?, ?, ?, ?, ?, ?, ?, ?"
MOST_IN_ONE_READ: Final = 8

_HEAD: Final = "SELECT id, seq, tags FROM tenants WHERE tenant = ?"
_READ: Final = f"""SELECT t.epoch, t.seq, t.floor, f.field, f.value FROM tenants AS t
    LEFT JOIN fields AS f ON f.tenant = t.id AND f.field IN ({_MARKS}) WHERE t.tenant = ?"""  # noqa: S608  fixed text
_CREATE: Final = "INSERT INTO tenants(tenant, epoch, seq, floor, tags) VALUES(?, ?, 0, 0, 0)"
_RAISE: Final = "UPDATE tenants SET seq = ?, tags = ? WHERE id = ?"
_OVERWRITE: Final = "UPDATE fields SET value = ? WHERE tenant = ? AND field = ?"
_ADD: Final = "INSERT INTO fields(tenant, field, value) VALUES(?, ?, ?)"
_FORGET: Final = "INSERT INTO forgotten(tenant) VALUES(?)"
_DROP: Final = "DELETE FROM tenants WHERE id = ?"
_TAGS: Final = f"tenant = ? AND substr(field, 1, 2) <> '{_NAMESPACE}' AND field <> '{_ALL_SOFT}'"
_CUT: Final = f"SELECT value FROM fields WHERE {_TAGS} ORDER BY value LIMIT 1 OFFSET ?"  # noqa: S608  the same
_PRUNE: Final = f"DELETE FROM fields WHERE {_TAGS} AND value <= ?"  # noqa: S608  the same
_FLOOR: Final = "UPDATE tenants SET floor = ?, tags = tags - ? WHERE id = ?"
_SWEEP: Final = "DELETE FROM fields WHERE (tenant, field) IN (SELECT tenant, field FROM fields WHERE tenant = ? LIMIT ?)"


def read_ledger(connection: sqlite3.Connection, tenant: str, fields: Sequence[str]) -> Ledger | None:
    """Read the ledger and those of ``fields`` that exist; None if the tenant has none yet.

    Above ``MOST_IN_ONE_READ`` fields it takes several statements, and the caller's transaction makes them one.
    """
    found: dict[str, int] = {}
    head: tuple[bytes, int, int] | None = None
    for start in range(0, max(len(fields), 1), MOST_IN_ONE_READ):
        part = [*fields[start : start + MOST_IN_ONE_READ]]
        part += [""] * (MOST_IN_ONE_READ - len(part))
        for epoch, seq, floor, name, value in connection.execute(_READ, (*part, tenant)):
            head = (epoch, seq, floor)
            if name is not None:
                found[name] = value
        if head is None:
            return None
    assert head is not None  # noqa: S101  the loop ran at least once
    return Ledger(*head, fields=found)


def make_ledger(connection: sqlite3.Connection, tenant: str, rand: Callable[[int], bytes]) -> None:
    """Start the tenant's ledger, if it has none: a new epoch, seq 0."""
    if connection.execute(_HEAD, (tenant,)).fetchone() is None:
        connection.execute(_CREATE, (tenant, rand(_EPOCH_BYTES)))


def change_ledger(connection: sqlite3.Connection, wanted: LedgerChange, rand: Callable[[int], bytes]) -> None:
    """Do one change. ``seq`` rises with each, so that no number of an epoch is given twice."""
    if isinstance(wanted, BumpTags):
        kind = "s:" if wanted.soft else "t:"
        _bump(connection, wanted.tenant, [kind + tag for tag in dict.fromkeys(wanted.tags)], rand, tags=True)
    elif isinstance(wanted, BumpNamespace):
        _bump(connection, wanted.tenant, [_NAMESPACE + wanted.namespace], rand, tags=False)
    elif wanted.soft:
        _bump(connection, wanted.tenant, [_ALL_SOFT], rand, tags=False)
    else:
        row = connection.execute(_HEAD, (wanted.tenant,)).fetchone()
        if row is not None:
            connection.execute(_FORGET, row[:1])
            connection.execute(_DROP, row[:1])
        make_ledger(connection, wanted.tenant, rand)


def _bump(connection: sqlite3.Connection, tenant: str, fields: list[str], rand: Callable[[int], bytes], *, tags: bool) -> None:
    head = connection.execute(_HEAD, (tenant,)).fetchone()
    if head is None:
        connection.execute(_CREATE, (tenant, rand(_EPOCH_BYTES)))
        head = connection.execute(_HEAD, (tenant,)).fetchone()
    number, seq, count = head
    seq += 1
    for field in fields:
        if connection.execute(_OVERWRITE, (seq, number, field)).rowcount == 0:
            connection.execute(_ADD, (number, field, seq))
            count += tags
    connection.execute(_RAISE, (seq, count, number))
    if count > MOST_TAG_FIELDS:
        _prune(connection, number, count)


def _prune(connection: sqlite3.Connection, number: int, count: int) -> None:
    """Drop the oldest tag fields; the floor rises to the highest seq dropped, which now stands for each of them."""
    (cut,) = connection.execute(_CUT, (number, count - _KEPT_TAG_FIELDS - 1)).fetchone()
    dropped = connection.execute(_PRUNE, (number, cut)).rowcount
    connection.execute(_FLOOR, (cut, dropped, number))


def sweep_forgotten(connection: sqlite3.Connection, most: int) -> int:
    """Remove at most ``most`` fields of epochs that are gone; return how many."""
    row = connection.execute("SELECT tenant FROM forgotten LIMIT 1").fetchone()
    if row is None:
        return 0
    removed = connection.execute(_SWEEP, (*row, most)).rowcount
    if removed < most:
        connection.execute("DELETE FROM forgotten WHERE tenant = ?", row)
    return removed
