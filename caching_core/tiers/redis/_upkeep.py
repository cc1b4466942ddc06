"""Bounds of what the cache keeps for itself in the server: a ledger's fields."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from caching_core.tiers.redis._names import ledger_of

MOST_FIELDS: Final = 100_000
_KEPT_FIELDS: Final = MOST_FIELDS // 2
_CHUNK: Final = 1000
_MOST_TENANTS: Final = 10_000


class LedgerKeeper:
    """Knows the tenants whose ledgers this process reads or changes, and cuts those that have grown too long.

    What is cut stays invalid: the floor stands for it.
    """

    __slots__ = ("_tenants",)

    def __init__(self) -> None:
        self._tenants: set[str] = set()

    def note(self, tenant: str) -> None:
        """Remember a tenant until the next upkeep."""
        if len(self._tenants) < _MOST_TENANTS:
            self._tenants.add(tenant)

    async def prune(
        self,
        one: Callable[..., Awaitable[Any]],
        run: Callable[[str, Sequence[Any]], Awaitable[Any]],  # Any: the store's own asking
    ) -> None:
        """Cut the ledgers of the noted tenants that have more than ``MOST_FIELDS`` fields."""
        tenants, self._tenants = self._tenants, set()
        for tenant in tenants:
            key = ledger_of(tenant)
            if await one("HLEN", key) <= MOST_FIELDS:
                continue
            fields = await _tag_fields(one, key)
            values = sorted(fields.values())
            floor = values[len(values) - _KEPT_FIELDS - 1] if len(values) > _KEPT_FIELDS else 0
            oldest = [name for name, value in fields.items() if value <= floor]
            for start in range(0, len(oldest), _CHUNK):
                await run(key, [floor, *oldest[start : start + _CHUNK]])


async def _tag_fields(one: Callable[..., Awaitable[Any]], key: str) -> dict[bytes, int]:
    """Return the fields of tags with their values; those of namespaces and of everything are never dropped."""
    found: dict[bytes, int] = {}
    cursor: bytes | int = 0
    while True:
        cursor, pairs = await one("HSCAN", key, cursor, "COUNT", _CHUNK)
        for name, value in zip(pairs[::2], pairs[1::2], strict=True):
            if name[:2] in (b"t:", b"s:") and name != b"s:@all":
                found[name] = int(value)
        if int(cursor) == 0:
            return found


def number_in(info: bytes, name: str) -> int:
    """Return a number of an INFO reply; 0 where it is not told."""
    for line in info.decode(errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value)
    return 0
