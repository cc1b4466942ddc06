"""The keys of a cache that only reads: what it finds, it opens; it makes none."""

from caching_core.crypto import FLEET, KeyProvider, NewKey, ProviderHealth
from caching_core.errors import KeyNeverMade


class OldKeysOnly:
    """A key provider that opens what another one wrapped, and makes keys for the host itself alone, never for a tenant."""

    __slots__ = ("_provider",)

    def __init__(self, provider: KeyProvider) -> None:
        self._provider = provider

    async def generate(self, name: str, *, purpose: str) -> NewKey:
        """Make the host's own key; refuse a tenant's: who has none has stored nothing that could be read."""
        if name != FLEET:
            raise KeyNeverMade(f"tenant {name} has no key, so nothing of it is stored; read_only makes none")
        return await self._provider.generate(name, purpose=purpose)

    async def unwrap(self, wrapped: bytes, kek_id: bytes, *, name: str, purpose: str) -> bytes:
        """Open what was wrapped."""
        return await self._provider.unwrap(wrapped, kek_id, name=name, purpose=purpose)

    async def rewrap(self, wrapped: bytes, kek_id: bytes, *, name: str, purpose: str) -> tuple[bytes, bytes]:
        """Wrap again."""
        return await self._provider.rewrap(wrapped, kek_id, name=name, purpose=purpose)

    async def health(self) -> ProviderHealth:
        """Ask the provider."""
        return await self._provider.health()
