"""The port through which the engine asks for a lifetime where nobody gave one; implemented above, where lifetimes are learned."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TTLNumbers:
    """What is known of a key's lifetime. Times in seconds, rates per second, shares 0 to 1.

    ``ttl`` is what the model would give, ``given`` what the entry was given (None: for ever); the same where the model acts.
    ``change_rate`` and ``read_rate`` are means of what is known of the key, ``spread`` the relative standard deviation of the
    first. ``refills`` and ``changed`` count the comparisons of an old with a new value, of all keys of the template.
    ``price`` is what a stale read may cost, ``stale_share`` what the controller makes of the tenant's last reads.
    """

    template: str
    data_type: str | None
    acts: bool
    ttl: float
    given: float | None
    change_rate: float
    spread: float
    read_rate: float
    refills: int
    changed: int
    template_change_rate: float
    price: float
    stale_share: float


@dataclass(frozen=True, slots=True)
class TTLFigures:
    """What the model did in this process, or in shadow mode would have done. ``hit_ratio`` and ``stale`` in percent.

    ``refills`` compared an old with a new value, and ``changed`` of them found another. The ratios are expected of the reads
    that these loads served: under the lifetimes of the model, and (``default_``) under ``default_ttl``. None before the first.
    ``share`` of the keys are observed: all where it acts, else a sample.
    """

    acts: bool
    share: float
    loads: int
    refills: int
    changed: int
    templates: int
    keys: int
    hit_ratio: float | None
    stale: float | None
    default_hit_ratio: float | None
    default_stale: float | None


class TTLModel(Protocol):
    """Learns how long values last, from what loads find; thread-safe."""

    @property
    def acts(self) -> bool:
        """Return whether its lifetimes are used; else it only reports them."""
        ...

    def act(self, step: float) -> None:
        """Have its lifetimes used from now on; ``step`` is the learning rate."""
        ...

    def after_load(
        self,
        tenant: str,
        namespace: str,
        key: str,
        *,
        data_type: str | None,
        now: float,
        digest: int,
        stamp: object,
        version: int,
        held: tuple[int, int | None] | None,
        given: float | None,
    ) -> float | None:
        """Take in that a value was loaded; returns the seconds that it is to live, None for ``given`` (None: for ever).

        ``now``: steady seconds at the start of the load. ``digest``: 8 bytes of the value. ``stamp``: equal to that of the last
        load iff nothing that concerns the key was invalidated between. ``version``: of the new entry; ``held``: version of the
        entry that memory held before, if it held one, and its hits, where these are all of its value.
        """
        ...

    def stamped(self, tenant: str, namespace: str, key: str, stamp: object) -> None:
        """Take another stamp for the last load of a key."""
        ...

    def known(self, tenant: str, namespace: str, key: str) -> TTLNumbers | None:
        """Return what is known of a key; None if this process has not loaded it, or has forgotten it."""
        ...

    def figures(self) -> TTLFigures:
        """Return what it did in this process."""
        ...

    def after_fork(self) -> None:
        """Make the child's own locks."""
        ...
