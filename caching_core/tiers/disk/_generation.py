"""The port that says which file is the store."""

from typing import Protocol


class StoreGeneration(Protocol):
    """The generation of the store, shared by all processes of the host.

    A generation is letters, digits, ``-`` and ``_``, is never used twice, and does not survive a reboot:
    the store's file is never synced to the disk.
    """

    def current(self) -> str:
        """Return the generation; empty: there is no store for now. Asked at every call, so it must be cheap."""
        ...

    def void(self, seen: str, reason: str) -> str:
        """Advance once, if ``seen`` is still current; return the generation that now is.

        All copies made under an older one are worth nothing from then on. Raises OSError or a CacheError if it cannot.
        """
        ...
