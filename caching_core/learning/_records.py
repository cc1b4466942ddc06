"""What the adaptive TTL remembers: per tenant its templates and, bounded over all tenants, the keys that were loaded last."""

from collections.abc import Callable
from typing import Final

from caching_core.learning._controller import StalenessController
from caching_core.learning._prior import DataType, RatePrior
from caching_core.learning._template import template_of

MAX_TEMPLATES: Final = 2_000
"""Templates per tenant; keys of further ones are all of the template ``other``."""

OTHER: Final = "other"
_MAX_TEMPLATES_IN_ALL: Final = 20_000
_MAX_DATA_TYPES: Final = 200
_DEAD_AFTER: Final = 4.0  # lifetimes without a refill


class KeyRecord:
    """A key that was loaded: the value's digest, when and for how long, and what its own observations add to the template's prior.

    ``shape`` and ``rate`` are such offsets; ``reads`` in ``read_seconds`` were counted; all four fade. ``ttl`` is what the
    model said at the last load, ``given`` what the entry got (None: for ever), ``since`` steady seconds.
    """

    __slots__ = ("digest", "given", "prior", "rate", "read_seconds", "reads", "shape", "since", "stamp", "ttl", "version")

    def __init__(self, prior: RatePrior) -> None:
        self.prior = prior
        self.digest = self.version = 0
        self.stamp: object = None
        self.since = self.ttl = 0.0
        self.given: float | None = None
        self.shape = self.rate = 0.0
        self.reads, self.read_seconds = 1.0, 0.0

    def read_rate(self) -> float:
        """Return the reads per second that are expected of the key: its own, and the template's for one read's worth."""
        prior = self.prior
        return (1.0 + self.reads) / (prior.read_seconds / prior.reads + self.read_seconds)


class TenantRecords:
    """One tenant's templates, data types, keys (the one loaded last at the end) and controller."""

    __slots__ = ("controller", "kinds", "records", "templates")

    def __init__(self, controller: StalenessController) -> None:
        self.controller = controller
        self.records: dict[tuple[str, str], KeyRecord] = {}
        self.templates: dict[tuple[str, str | None, str], RatePrior] = {}
        self.kinds: dict[str | None, DataType] = {}

    def template(self, namespace: str, data_type: str | None, key: str, *, is_full: bool) -> RatePrior:
        """Return the template of a key of this data type; one that is new is made, unless there are too many."""
        text = template_of(key)
        known = self.templates.get((namespace, data_type, text))
        if known is not None:
            return known
        if is_full or len(self.templates) >= MAX_TEMPLATES:
            known = self.templates.get(("", None, OTHER))
            if known is None:
                known = self.templates["", None, OTHER] = RatePrior(OTHER, self._kind(None))
            return known
        made = self.templates[namespace, data_type, text] = RatePrior(text, self._kind(data_type))
        return made

    def _kind(self, name: str | None) -> DataType:
        kind = self.kinds.get(name)
        if kind is None:
            if len(self.kinds) >= _MAX_DATA_TYPES:
                name = None
            kind = self.kinds.setdefault(name, DataType(name))
        return kind


class Records:
    """The records of all tenants of a process: ``max_keys`` keys in all. Not thread-safe."""

    __slots__ = ("_budget", "_fullest", "_max_keys", "_step", "keys", "templates", "tenants")

    def __init__(self, *, max_keys: int, budget: float, step: float) -> None:
        self._max_keys = max_keys
        self._budget, self._step = budget, step
        self.keys = self.templates = 0
        self.tenants: dict[str, TenantRecords] = {}
        self._fullest: TenantRecords | None = None

    def set_step(self, step: float) -> None:
        """Let all controllers take steps of this size, those of tenants to come as well."""
        self._step = step
        for tenant in self.tenants.values():
            tenant.controller.set_step(step)

    def of(self, tenant: str) -> TenantRecords:
        """Return what is remembered of a tenant."""
        known = self.tenants.get(tenant)
        if known is None:
            known = self.tenants[tenant] = TenantRecords(StalenessController(self._budget, self._step))
        return known

    def new(self, tenant: TenantRecords, namespace: str, data_type: str | None, key: str) -> KeyRecord:
        """Return a record for a key that has none; the oldest of the fullest tenant gives way where there are too many."""
        before = len(tenant.templates)
        record = KeyRecord(tenant.template(namespace, data_type, key, is_full=self.templates >= _MAX_TEMPLATES_IN_ALL))
        self.templates += len(tenant.templates) - before
        if self.keys >= self._max_keys:
            self._forget_one(tenant)
        self.keys += 1
        return record

    def leave_out(self, bits: int) -> None:
        """Forget the keys whose hash has one of these bits."""
        self._keep(lambda key, _record: not hash(key) & bits)

    def forget_dead(self, now: float) -> int:
        """Forget the keys that nobody has asked for long after their lifetime; returns how many are left."""
        self._keep(lambda _key, record: now - record.since <= _DEAD_AFTER * max(record.ttl, record.given or 0.0))
        return self.keys

    def _keep(self, is_kept: Callable[[str, KeyRecord], bool]) -> None:
        for tenant in self.tenants.values():
            tenant.records = {name: record for name, record in tenant.records.items() if is_kept(name[1], record)}
        self.keys = sum(len(tenant.records) for tenant in self.tenants.values())

    def _forget_one(self, own: TenantRecords) -> None:
        share = self._max_keys / len(self.tenants)
        victim = own
        if len(own.records) < share:
            if self._fullest is None or len(self._fullest.records) < share:
                self._fullest = max(self.tenants.values(), key=lambda tenant: len(tenant.records))
            victim = self._fullest
        del victim.records[next(iter(victim.records))]
        self.keys -= 1
