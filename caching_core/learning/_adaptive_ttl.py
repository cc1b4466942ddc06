"""The adaptive TTL: a lifetime for each key, from how often its value was found changed and how often it is read."""

from typing import Final

from caching_core.config import MAX_TTL, CacheConfig
from caching_core.engine import TTLFigures, TTLNumbers
from caching_core.learning._change_time import after_change, best_ttl, stale_seconds, stale_seconds_seen
from caching_core.learning._expected import Expected
from caching_core.learning._records import KeyRecord, Records, TenantRecords
from caching_core.runtime import Mutex

_FORGETTING: Final = 0.97  # of a key's own observations, at each new one
_SAMPLING: Final = 7  # expectations are summed up at loads whose number & this is 0
_FEWEST_KEYS, _MOST_KEYS = 1_000, 100_000
MOST_SHADOW_KEYS: Final = 200
"""Keys that are observed where nothing comes of it but a report: a record is larger than what L1 adds to a value."""
_KEYS_PER_ENTRY: Final = 2  # a key is remembered for longer than memory holds its value


class AdaptiveTTL:
    """Learns from each load of a value for which nobody gave a lifetime; gives one where ``acts``. Thread-safe.

    ``budget``: share of reads that may be stale. ``step``: the most that the price of a stale read moves in 200 reads, as its
    logarithm. ``floor`` and ``ceiling``: seconds. Bounded: 2,000 templates per tenant, ``max_keys`` keys in the process.

    Where it does not act it observes 200 keys at most, chosen by their hash, so that each that is chosen is met again at its
    refills (spatial sampling of fixed size, as in SHARDS, Waldspurger et al., FAST 2015).
    """

    __slots__ = (
        "_acts", "_ceiling", "_changed", "_default", "_floor", "_left_out", "_loads", "_model", "_mutex", "_records", "_refills",
    )  # fmt: skip

    def __init__(self, *, acts: bool, budget: float, step: float, floor: float, ceiling: float, max_keys: int) -> None:
        self._acts = acts
        self._floor, self._ceiling = floor, ceiling
        self._left_out = 0  # a key whose hash has one of these bits is not observed
        self._mutex = Mutex()
        self._records = Records(max_keys=max_keys, budget=budget, step=step)
        self._loads = self._refills = self._changed = 0
        self._model, self._default = Expected(), Expected()

    @classmethod
    def of(cls, config: CacheConfig) -> "AdaptiveTTL":
        """Make the one that a configuration asks for."""
        learning = config.learning
        ceiling = MAX_TTL if config.default_ttl is None else min(config.default_ttl * learning.ttl_stretch, MAX_TTL)
        return cls(
            acts=learning.ml_predictions,
            budget=learning.staleness_budget,
            step=learning.learning_rate,
            floor=learning.ttl_floor,
            ceiling=ceiling,
            max_keys=min(max(_KEYS_PER_ENTRY * config.l1.max_entries, _FEWEST_KEYS), _MOST_KEYS),
        )

    @property
    def acts(self) -> bool:
        """Return whether its lifetimes are used."""
        return self._acts

    def act(self, step: float) -> None:
        """Have its lifetimes used from now on; ``step`` as at construction."""
        with self._mutex:
            self._acts, self._left_out = True, 0
            self._records.set_step(step)

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
        """Learn from a load; return the seconds that the value is to live, None for ``given``."""
        if hash(key) & self._left_out:
            return None
        with self._mutex:
            own = self._records.of(tenant)
            record = own.records.pop((namespace, key), None)
            reads: float | None = None
            if record is None:
                record = self._records.new(own, namespace, data_type, key)
            else:
                is_own = held is None or held[0] == record.version
                changed = None if stamp != record.stamp else digest != record.digest
                hits = held[1] if held is not None and is_own else None
                reads = self._refilled(own, record, now - record.since, hits, changed=changed, is_own=is_own)
            own.records[namespace, key] = record
            ttl = self._choose(own, record, reads, given)
            self._loads += 1
            record.since, record.ttl, record.digest, record.stamp, record.version = now, ttl, digest, stamp, version
            record.given = ttl if self._acts else given
            if not self._acts and self._records.keys > MOST_SHADOW_KEYS:
                self._thin(now)
        return ttl if self._acts else None

    def _thin(self, now: float) -> None:
        """Forget what is asked for no more; then observe half as many keys, or twice as many."""
        alive = self._records.forget_dead(now)
        if alive > MOST_SHADOW_KEYS // 2:
            self._left_out = self._left_out << 1 | 1
            self._records.leave_out(self._left_out)
        elif alive < MOST_SHADOW_KEYS // 4:
            self._left_out >>= 1

    def stamped(self, tenant: str, namespace: str, key: str, stamp: object) -> None:
        """Take another stamp for the last load of a key."""
        own = self._records.tenants.get(tenant)
        record = None if own is None else own.records.get((namespace, key))
        if record is not None:
            record.stamp = stamp

    def _refilled(
        self, own: TenantRecords, record: KeyRecord, age: float, hits: int | None, *, changed: bool | None, is_own: bool
    ) -> float:
        """Learn from a second load, ``age`` seconds after the first; returns the reads that the first is known to have served.

        ``changed`` None: it was invalidated. ``is_own``: nothing is known of loads by others between the two.
        """
        reads = 1.0 if hits is None else hits + 1.0
        if age <= 0.0:
            return reads
        if changed is not None:
            self._compared(own, record, age, hits, changed=changed)
        if hits is not None:
            self._saw_reads(record, reads, age)
        elif is_own and record.given is not None and age > record.given:
            # Hits are not known, but how long nobody here asked once it had expired: reads have no memory.
            self._saw_reads(record, 1.0, age - record.given)
        return reads

    def _compared(self, own: TenantRecords, record: KeyRecord, age: float, hits: int | None, *, changed: bool) -> None:
        prior = record.prior
        shape, rate = prior.shape + record.shape, prior.rate + record.rate
        stale_for = stale_seconds_seen(shape, rate, record.ttl, age=age, changed=changed)
        if self._acts and hits is not None:
            own.controller.learn(hits + 1.0, hits * stale_for / record.ttl)
        else:
            expected = record.read_rate()
            served = 1.0 + expected * record.ttl
            # In shadow mode the key was loaded as often as another lifetime had it.
            weight = 1.0 if record.given is None else (1.0 + expected * record.given) / served
            own.controller.learn(weight * served, weight * expected * stale_for)
        prior.learn(shape, rate, age=age, changed=changed)
        record.shape *= _FORGETTING
        record.rate *= _FORGETTING
        if changed:
            shape, rate = prior.shape + record.shape, prior.rate + record.rate
            new_shape, new_rate = after_change(shape, rate, age)
            record.shape += max(0.0, new_shape - shape)
            record.rate += max(0.0, new_rate - rate)
        else:
            record.rate += age
        self._refills += 1
        self._changed += changed

    def _saw_reads(self, record: KeyRecord, reads: float, seconds: float) -> None:
        record.reads = record.reads * _FORGETTING + reads
        record.read_seconds = record.read_seconds * _FORGETTING + seconds
        record.prior.saw_reads(reads, seconds)

    def _choose(self, own: TenantRecords, record: KeyRecord, reads: float | None, given: float | None) -> float:
        prior, read_rate = record.prior, record.read_rate()
        shape, rate = prior.shape + record.shape, prior.rate + record.rate
        ttl = best_ttl(shape, rate, read_rate, own.controller.price, least=self._floor, most=self._ceiling, guess=record.ttl)
        if self._loads & _SAMPLING:
            return ttl
        if reads is None:
            self._model.add_first()
            self._default.add_first()
            return ttl
        self._model.add(reads, read_rate, ttl, stale_seconds(shape, rate, ttl))
        if given is None:
            self._default.add_for_ever(reads)
        else:
            self._default.add(reads, read_rate, given, stale_seconds(shape, rate, given))
        return ttl

    def known(self, tenant: str, namespace: str, key: str) -> TTLNumbers | None:
        """Return what is known of a key; None if this process has not loaded it, does not observe it, or has forgotten it."""
        with self._mutex:
            own = self._records.tenants.get(tenant)
            record = None if own is None else own.records.get((namespace, key))
            if own is None or record is None:
                return None
            prior = record.prior
            shape, rate = prior.shape + record.shape, prior.rate + record.rate
            return TTLNumbers(
                template=prior.name,
                data_type=prior.kind.name,
                acts=self._acts,
                ttl=record.ttl,
                given=record.given,
                change_rate=shape / rate,
                spread=shape**-0.5,
                read_rate=record.read_rate(),
                refills=prior.refills,
                changed=prior.changed,
                template_change_rate=prior.mean,
                price=own.controller.price,
                stale_share=own.controller.stale_share,
            )

    def figures(self) -> TTLFigures:
        """Return what it did in this process, or would have done."""
        with self._mutex:
            return TTLFigures(
                acts=self._acts,
                share=1.0 / (self._left_out + 1),
                loads=self._loads,
                refills=self._refills,
                changed=self._changed,
                templates=self._records.templates,
                keys=self._records.keys,
                hit_ratio=self._model.hit_ratio,
                stale=self._model.stale,
                default_hit_ratio=self._default.hit_ratio,
                default_stale=self._default.stale,
            )

    def after_fork(self) -> None:
        """Make the child's own lock; what was learned is kept."""
        self._mutex = Mutex()
