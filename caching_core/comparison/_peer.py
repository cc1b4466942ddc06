"""What a suite knows of a peer: its name, what must be installed, how it is opened."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from caching_core.errors import ConfigInvalid


@dataclass(frozen=True, slots=True)
class Opened:
    """An open peer: bare functions, so that measuring adds nothing to what they cost."""

    get: Callable[[str], object]
    put: Callable[[str, object], object]
    close: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Peer:
    """A cache to measure beside ours. ``module`` is imported when it is opened, never before.

    ``open`` takes a directory for peers that keep files; those in memory leave it alone.
    """

    name: str
    title: str
    module: str
    distribution: str | None
    open: Callable[[Path], Opened]

    @property
    def is_installed(self) -> bool:
        """Return whether its module can be imported."""
        return find_spec(self.module.partition(".")[0]) is not None


def choose_peers(known: tuple[Peer, ...], wanted: str) -> tuple[Peer, ...]:
    """Return the peers that ``all``, ``none`` or a comma-separated list of names means."""
    if wanted == "all":
        return known
    if wanted == "none":
        return ()
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    unknown = sorted(set(names) - {peer.name for peer in known})
    if unknown or not names:
        choice = ", ".join(peer.name for peer in known)
        raise ConfigInvalid(f"unknown peer {', '.join(unknown) or wanted!r}; choose all, none or some of: {choice}")
    return tuple(peer for peer in known if peer.name in names)
