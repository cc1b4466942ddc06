"""The layout of the stamp table: which cell a name has, the same for every process and host.

A keyed hash settles a name's cell within its region; the region sizes are constants of the format.
One table for all names would be wrong: a key that hashed to its tenant's cell would empty the tenant
at each of its sets.
"""

import struct
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

KEY_CELLS: Final = 1 << 18
TAG_CELLS: Final = 1 << 16
TENANT_SLOTS: Final = 1 << 12
LANES: Final = 64
TENANT_STRIDE: Final = 1 + LANES

TAGS_AT: Final = KEY_CELLS
TENANTS_AT: Final = KEY_CELLS + TAG_CELLS
CELLS: Final = TENANTS_AT + TENANT_SLOTS * TENANT_STRIDE

_KEY_MASK: Final = KEY_CELLS - 1
_KEY_BITS: Final = 18
_LANE_MASK: Final = LANES - 1


def _hashed(secret: bytes, kind: bytes, *parts: str) -> "blake2b":
    """Start a keyed hash over length-prefixed parts, so that no two lists of parts collide by joining."""
    state = blake2b(kind, digest_size=8, key=secret)
    for part in parts:
        data = part.encode()
        state.update(struct.pack(">I", len(data)))
        state.update(data)
    return state


def _number(state: "blake2b") -> int:
    return int.from_bytes(state.digest(), "little")


class Cells:
    """The cells of one tenant and namespace, and how a key or tag finds its own.

    ``tenant``, ``namespace``, ``any_tag`` are indexes in the table; ``lanes`` the tenant's 64 lanes,
    as ints that all slots share. ``last_guard`` is the writer's to keep: equal guards are one object.
    """

    __slots__ = ("_keys", "_marks", "_tags", "any_tag", "lanes", "last_guard", "namespace", "tenant")

    def __init__(self, tenant: str, namespace: str, secret: bytes) -> None:
        slot = _number(_hashed(secret, b"tenant", tenant)) % TENANT_SLOTS
        self.tenant = TENANTS_AT + slot * TENANT_STRIDE
        self.lanes: Sequence[int] = tuple(range(self.tenant + 1, self.tenant + TENANT_STRIDE))
        self._marks = [0.0] * LANES
        self.last_guard = (0.0, 0.0)
        self._keys = _hashed(secret, b"key", tenant, namespace)
        self._tags = _hashed(secret, b"tag", tenant)
        self.any_tag = self._tag_cell("\x00any")
        self.namespace = self._tag_cell("\x00namespace:" + namespace)

    def _tag_cell(self, name: str) -> int:
        state = self._tags.copy()
        state.update(name.encode())
        return TAGS_AT + _number(state) % TAG_CELLS

    def tag(self, tag: str) -> int:
        """Return the cell of a tag of this tenant."""
        return self._tag_cell("t:" + tag)

    def key(self, key: str) -> tuple[int, int]:
        """Return (cell, lane) of a key of this namespace."""
        state = self._keys.copy()
        state.update(key.encode())
        number = int.from_bytes(state.digest(), "little")
        return number & _KEY_MASK, self.lanes[(number >> _KEY_BITS) & _LANE_MASK]

    def shared_mark(self, lane: int, number: float) -> float:
        """Return ``number``, as one object for all slots of a lane that saw the same."""
        marks, at = self._marks, lane - self.tenant - 1
        known = marks[at]
        if known == number:
            return known
        marks[at] = number
        return number
