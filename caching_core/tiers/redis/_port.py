"""The port to a server: commands out, replies in, within a deadline; one for blocking callers and one per event loop."""

from typing import Any, Protocol


class Link(Protocol):
    """Connections to one server."""

    where: str
    """The server's address, without secrets."""
    answers_at_once: bool
    """Whether ``ask_now`` ever answers."""

    @property
    def lost(self) -> str | None:
        """Why callers are turned away, while the server is away."""
        ...

    def ask_now(self, packed: bytes, count: int = 1, *, again: bool = False) -> list[Any] | None:
        """Ask where waiting blocks the caller's thread and nobody else; None on an event loop, where only ``ask`` will do."""
        ...

    async def ask(self, packed: bytes, count: int = 1, *, again: bool = False) -> list[Any]:
        """Send packed commands and return their replies, error replies as objects. Raises TierUnavailable or DeadlineExceeded.

        ``again``: doing them twice is as good as once, so that a connection that ends is no reason to give up.
        """
        ...

    def close(self) -> None:
        """Close the connections of this process; later calls raise TierUnavailable."""
        ...
