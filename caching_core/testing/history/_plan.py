"""What a run is made of, and the universe of keys that it acts on: the same in every process of the run."""

import json
import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, Self

from caching_core.testing.history._record import Recorder, Scope

CACHE: Final = "caching_core.testing.history:open_cache"

World = Literal["blocking", "loop", "mixed"]

# What an incr adds; a decr takes 1: so a sum tells how many of each there were.
STEP: Final = 1 << 32

_SPREAD: Final = 2_654_435_761  # Knuth's multiplier: neighbouring keys get different owners


@dataclass(frozen=True, slots=True)
class Plan:
    """A run of ``processes`` with ``concurrency`` threads or tasks each, ``operations`` in all, drawn from ``seed``.

    ``ttl`` is the lifetime of every fifth key, ``slow_loads`` the share of loads that take ``load_seconds`` between
    reading the truth and returning. ``subject`` names what is tested: ``module:function`` or ``file.py:function``,
    called with the plan and the world, returning a ``Subject``. ``config`` is the subject's own.
    """

    directory: str
    processes: int = 4
    operations: int = 60_000
    seed: int = 1
    world: World = "mixed"
    concurrency: int = 2
    keys: int = 600
    counters: int = 12
    tenants: int = 3
    namespaces: int = 2
    tags: int = 8
    ttl: float = 0.2
    slow_loads: float = 0.02
    load_seconds: float = 0.002
    subject: str = CACHE
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])  # Any: settings of every type

    def save(self) -> Path:
        """Write the plan where the workers find it."""
        path = Path(self.directory) / "plan.json"
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a plan."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    @property
    def sessions(self) -> int:
        """Return how many threads and tasks act."""
        return self.processes * self.concurrency

    def world_of(self, process: int) -> Literal["blocking", "loop"]:
        """Return the world of a process: in a mixed run every other one has an event loop."""
        if self.world == "mixed":
            return "loop" if process % 2 else "blocking"
        return self.world


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key of the universe stands: its own name, and its groups by name and number."""

    number: int
    key: str
    tenant: str
    namespace: str
    tag: str
    tag_number: int
    namespace_number: int
    tenant_number: int
    owner: int


def turn_of(total: int | None) -> int:
    """Return how many changes a counter's sum is made of, 0 where there is no counter."""
    if total is None:
        return 0
    ups = -(-total // STEP)
    return ups + (ups * STEP - total)


class Universe:
    """The keys of a plan, and beyond them the counters, which bear no tag and belong to nobody."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.places = [self._place(number) for number in range(plan.keys)]
        self.counters = [
            replace(self._place(number), key=f"counter:{number}", tag="") for number in range(plan.keys, plan.keys + plan.counters)
        ]

    def _place(self, number: int) -> Place:
        plan = self.plan
        rest, tenant = divmod(number, plan.tenants)
        rest, namespace = divmod(rest, plan.namespaces)
        tag = rest % plan.tags
        return Place(
            number,
            key=f"key:{number}",
            tenant=f"tenant{tenant}",
            namespace=f"space{namespace}",
            tag=f"group:{tag}",
            tag_number=tenant * plan.tags + tag,
            namespace_number=tenant * plan.namespaces + namespace,
            tenant_number=tenant,
            owner=(number * _SPREAD >> 7) % plan.sessions,
        )

    def owned_by(self, session: int) -> list[Place]:
        """Return the keys whose only writer is this session."""
        return [place for place in self.places if place.owner == session]

    def describe(self, recorder: Recorder) -> None:
        """Record which groups each key and counter belongs to."""
        for place in (*self.places, *self.counters):
            if place.tag:
                recorder.member(place.number, Scope.TAG, place.tag_number)
            recorder.member(place.number, Scope.NAMESPACE, place.namespace_number)
            recorder.member(place.number, Scope.TENANT, place.tenant_number)


class Truth:
    """The current version of every key, in memory that all processes share. One writer per key, any number of readers."""

    __slots__ = ("_map", "versions")

    def __init__(self, path: Path, keys: int) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, keys * 8)
            self._map = mmap.mmap(fd, keys * 8)
        finally:
            os.close(fd)
        # Aligned words of eight bytes are read and written whole.
        self.versions = memoryview(self._map).cast("Q")

    def close(self) -> None:
        """Let go of the memory."""
        self.versions.release()
        self._map.close()

    def __iter__(self) -> Iterator[int]:
        return iter(self.versions)
