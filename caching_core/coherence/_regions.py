"""The layout of the stamp table: which cell a name has, the same for every process and host.

A keyed hash settles the cell of a tenant, a namespace or a tag within its region, and the seed of a namespace's
keys, whose cells a mixed checksum tells: each miss and each set needs one, and a hash costs five times as much. Keys
that share a cell end each other's copies, no more; keys of other tenants and namespaces have another seed. The region
sizes are constants of the format.
One table for all names would be wrong: a key that hashed to its tenant's cell would empty the tenant
at each of its sets.
"""

import struct
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final
from zlib import crc32

KEY_CELLS: Final = 1 << 18
TAG_CELLS: Final = 1 << 16
TENANT_SLOTS: Final = 1 << 12
LANES: Final = 64
TENANT_STRIDE: Final = 1 + LANES

TAGS_AT: Final = KEY_CELLS
TENANTS_AT: Final = KEY_CELLS + TAG_CELLS
CELLS: Final = TENANTS_AT + TENANT_SLOTS * TENANT_STRIDE

# A checksum alone would not do: it is linear, so the cells of "user:1" to "user:9999" are those of "item:1" to "item:9999"
# with one number added, and for some numbers every key has a neighbour in its cell. Multiplied (Knuth, TAOCP 3, 6.4) it is not.
SPREAD: Final = 0x9E3779B1
CELL_SHIFT: Final = 32 - 18
LANE_MASK: Final = LANES - 1


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
    as ints that all slots share. ``seed`` starts the checksum of a key. ``last_guard`` and ``marks`` (a number per lane)
    are the stamps' to keep: equal ones are one object.
    """

    __slots__ = ("_tags", "any_tag", "lanes", "last_guard", "marks", "namespace", "seed", "tenant")

    def __init__(self, tenant: str, namespace: str, secret: bytes) -> None:
        slot = _number(_hashed(secret, b"tenant", tenant)) % TENANT_SLOTS
        self.tenant = TENANTS_AT + slot * TENANT_STRIDE
        self.lanes: Sequence[int] = tuple(range(self.tenant + 1, self.tenant + TENANT_STRIDE))
        self.marks = [0.0] * LANES
        self.last_guard = (0.0, 0.0)
        self.seed = _number(_hashed(secret, b"key", tenant, namespace)) & 0xFFFFFFFF
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
        number = crc32(key.encode(), self.seed) * SPREAD & 0xFFFFFFFF
        return number >> CELL_SHIFT, self.lanes[number & LANE_MASK]
