"""Tenant root keys in a Redis or Valkey server, for hosts that share one."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from caching_core.crypto import KeyRow, KeyState
from caching_core.errors import KeyUnavailable, TierUnavailable
from caching_core.keystore._redis_scripts import BURY, CREATE, DESTROY, FORMAT, LOAD, SET_STATE, STANDING, SWEEP

if TYPE_CHECKING:
    from caching_core.tiers.redis import Link

_ROWS: Final = "cc:{@0}:keys:"
_DESTROYED: Final = "cc:{@0}:destroyed"
_GENERATIONS: Final = "cc:{@0}:generations"
_KEY_ID_BYTES: Final = 16
_STANDING: Final = (KeyState.PRIMARY, KeyState.ENABLED, KeyState.STAGED, KeyState.DISABLED)
_CHUNK: Final = 500
_FIELDS: Final = 6


class RedisKeyStore:
    """Wrapped root keys of all tenants, in the server that their values are in; every process of every host shares them.

    In the world of its link: over a blocking one the coroutines never suspend. Thread-safe; safe to fork. Every failure is
    KeyUnavailable. The server never sees a key that it could open. Its rows have no lifetime; a server that was flushed, or
    that evicts what has none (``allkeys-*``), has lost them: new keys are made, and what the old ones sealed is a miss.
    """

    __slots__ = ("_link",)

    def __init__(self, link: "Link") -> None:
        """Ask nothing yet. The link stays its owner's."""
        self._link = link

    def __repr__(self) -> str:
        """Name the server."""
        return f"RedisKeyStore({self.where!r})"

    @property
    def where(self) -> str:
        """Return the server's address, without secrets."""
        return self._link.where

    async def has_rows(self) -> bool:
        """Tell whether any key stands there."""
        return bool(await self.names())

    async def load(self, name: str) -> Sequence[KeyRow]:
        """Return the rows that stand under ``name``, oldest first; destroyed ones are not among them."""
        found = [self._parsed(key_id, text) for key_id, text in await self._run("read", LOAD, [_ROWS + name, _DESTROYED])]
        return [row for _, row in sorted(found, key=lambda pair: pair[0])]

    async def create(self, name: str, row: KeyRow) -> KeyRow:
        """Add ``row`` unless another stands in its place, and return the one that stands: the first writer wins.

        A staged row gives way to a staged one only; a row of any other state to every row of ``name``,
        the primary first. KeyUnavailable where the key id has been destroyed before.
        """
        if row.state is KeyState.DESTROYED:
            raise ValueError("a destroyed key cannot be created; use destroy(name)")
        if len(row.key_id) != _KEY_ID_BYTES or not row.wrapped:
            raise self._refusal()
        rest = f" {row.created_ms} {row.kek_id.hex()} {row.wrapped.hex()}"
        instead_of = (KeyState.STAGED,) if row.state is KeyState.STAGED else _STANDING
        answer, *found = await self._run(
            "write", CREATE, [_ROWS + name, _DESTROYED, _GENERATIONS], row.key_id, name, row.state.value, rest, *instead_of
        )
        if answer == b"made":
            return row
        if answer == b"destroyed":
            raise KeyUnavailable(f"the key {row.key_id.hex()} has been destroyed and cannot come back to {self._named}; make a new one")
        if answer == b"taken":
            raise self._refusal()
        return self._parsed(*found)[1]

    async def set_state(self, name: str, key_id: bytes, state: KeyState) -> None:
        """Move a key to ``state``; the primary before it becomes enabled. Destroyed keys stay destroyed."""
        if state is KeyState.DESTROYED:
            await self._run("write", DESTROY, [_ROWS + name, _DESTROYED], key_id)
            return
        answer, *found = await self._run("write", SET_STATE, [_ROWS + name, _DESTROYED], key_id, state.value)
        if answer == b"absent":
            raise KeyUnavailable(f"no key {key_id.hex()} stands in {self._named} under that name; look with names()")
        if answer != b"done":
            self._parsed(*found)

    async def destroy(self, name: str) -> Sequence[bytes]:
        """Erase every key of ``name`` for good and return the ids; what they sealed can never be opened again.

        The server's own files (append-only file, snapshots, those of replicas) hold the wrapped bytes until it rewrites them.
        """
        gone: list[bytes] = await self._run("write", DESTROY, [_ROWS + name, _DESTROYED])
        return gone

    async def bury(self, key_ids: Iterable[bytes]) -> None:
        """Take ids from elsewhere (the audit log, another copy) as destroyed, whether or not they stand here."""
        ids = sorted(set(key_ids))
        for start in range(0, len(ids), _CHUNK):
            await self._run("write", BURY, [_DESTROYED], *ids[start : start + _CHUNK])
        if ids:  # from here on no row of theirs is returned any more; now their bytes go as well
            async for names in self._known_names():
                await self._run("write", SWEEP, [_DESTROYED, *(_ROWS + name for name in names)])

    async def names(self) -> Sequence[str]:
        """Return the names under which a key stands, sorted."""
        found: set[str] = set()
        async for names in self._known_names():
            stands = await self._run("read", STANDING, [_DESTROYED, *(_ROWS + name for name in names)])
            found.update(name for name, has_key in zip(names, stands, strict=True) if has_key)
        return sorted(found)

    async def tombstones(self) -> frozenset[bytes]:
        """Return the id of every key that has been destroyed."""
        return frozenset([key_id async for ids in self._fields(_DESTROYED) for key_id in ids])

    async def generation(self, name: str) -> int:
        """Return how many times keys of ``name`` were made from nothing: 1 at first, one more after each destruction, 0 if never."""
        return int(await self._ask("read", "HGET", _GENERATIONS, name) or 0)

    def close(self) -> None:
        """Do nothing: the connections are the link's, and whoever made it closes it."""

    @property
    def _named(self) -> str:
        return f"the keystore in the server {self.where}"

    async def _known_names(self) -> AsyncGenerator[list[str]]:
        async for fields in self._fields(_GENERATIONS):
            yield [field.decode(errors="replace") for field in fields]

    async def _fields(self, key: str) -> AsyncGenerator[list[bytes]]:
        """Walk the fields of a hash in pieces that fit into a call's deadline; one may come twice."""
        cursor: bytes | int = 0
        while True:
            cursor, pairs = await self._ask("read", "HSCAN", key, cursor, "COUNT", _CHUNK)
            for start in range(0, len(pairs), 2 * _CHUNK):  # a small hash comes as a whole, whatever COUNT says
                yield pairs[start : start + 2 * _CHUNK : 2]
            if int(cursor) == 0:
                return

    async def _run(self, action: str, script: str, keys: Sequence[str], *arguments: bytes | str) -> Any:  # Any: what the script returns
        # Whole each time: a process runs a script once per tenant and lease, which is not worth remembering what the server knows.
        return await self._ask(action, "EVAL", script, len(keys), *keys, *arguments)

    async def _ask(self, action: str, *arguments: bytes | str | int) -> Any:  # Any: whatever the command answers
        # Here and not above: it brings redis-py, which who has a link has, and a cache without a server goes without.
        from caching_core.tiers.redis import ServerSaid, checked, command

        try:
            return checked(self.where, (await self._link.ask(command(*arguments), again=True))[0])
        except ServerSaid as error:
            raise KeyUnavailable(f"cannot {action} {self._named}: {error}") from error
        except TierUnavailable as error:
            remedy = "see that the server runs and that this host reaches it"
            if action == "write":
                remedy += "; it may have been written all the same, and doing it again does no harm"
            raise KeyUnavailable(f"cannot {action} {self._named}: {error}; {remedy}") from error

    def _parsed(self, key_id: bytes, text: bytes) -> tuple[int, KeyRow]:
        """Return the place of a row in the order of making, and the row."""
        fields = text.decode("ascii", errors="replace").split(" ")
        if fields[0].isdigit() and fields[0] > FORMAT and len(fields[0]) <= len(FORMAT) + 2:
            raise KeyUnavailable(f"{self._named} was written by a newer release (format {fields[0]}); upgrade this process")
        try:
            if len(fields) != _FIELDS or fields[0] != FORMAT:
                raise ValueError(fields[0])
            place, state, created_ms = int(fields[1]), KeyState(fields[2]), int(fields[3])
            return place, KeyRow(key_id, state, bytes.fromhex(fields[5]), bytes.fromhex(fields[4]), created_ms)
        except ValueError:
            raise KeyUnavailable(
                f"{self._named} is damaged: the row {key_id.hex()[:32]} cannot be read. It has been left as it is: restore the server's "
                f"data from a backup. Without one, delete the keys {_ROWS}*; new ones are made, and what the old ones sealed is lost"
            ) from None

    def _refusal(self) -> KeyUnavailable:
        return KeyUnavailable(f"{self._named} refused a row: key ids are 16 bytes, unique, and never empty")
