"""Drive recorded accesses through a handle, one ``get_or_set`` each, and keep the figures."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter, perf_counter_ns

from caching_core.bench._handle import BlockingHandle
from caching_core.bench._histogram import LatencyHistogram
from caching_core.bench._memory import MemoryTrend, MemoryWatch

_SAMPLE_EVERY = 512


@dataclass(frozen=True, slots=True)
class Residency:
    """What L1 holds now, and what it may hold; a bound of None is no bound."""

    entries: int
    held_bytes: int
    max_entries: int | None
    max_bytes: int | None

    @property
    def is_within(self) -> bool:
        """Return whether both bounds are kept."""
        entries_fit = self.max_entries is None or self.entries <= self.max_entries
        return entries_fit and (self.max_bytes is None or self.held_bytes <= self.max_bytes)


@dataclass(frozen=True, slots=True)
class Replayed:
    """The figures of a replay. ``wrong`` counts values that differ from what was loaded; times in microseconds."""

    requests: int
    loads: int
    wrong: int
    seconds: float
    median_us: float
    mean_us: float
    p99_us: float
    residency_checks: int
    over_capacity: int
    first_over: int | None
    memory: MemoryTrend | None


class Replay:
    """One run over a trace. ``figures()`` may be asked while it runs (from ``observe``). For one thread."""

    def __init__(
        self,
        handle: BlockingHandle,
        value_of: Callable[[str], object],
        *,
        residency: Callable[[], Residency] | None = None,
        observe: Callable[["Replay"], None] | None = None,
        memory: MemoryWatch | None = None,
    ) -> None:
        """With ``residency`` the bounds are checked after every request; ``observe`` is called every 512."""
        self._handle = handle
        self._value_of = value_of
        self._residency = residency
        self._observe = observe
        self._memory = memory
        self._latency = LatencyHistogram()
        self._started = perf_counter()
        self._seconds = 0.0
        self._loads = 0
        self._wrong = 0
        self._checks = 0
        self._over = 0
        self._first_over: int | None = None

    def run(self, keys: Iterable[str]) -> Replayed:
        """Request every key in order; errors of the handle pass through."""
        latency, value_of = self._latency, self._value_of
        get_or_set = self._handle.get_or_set
        checking = self._residency is not None
        self._started = perf_counter()
        for number, key in enumerate(keys, start=1):
            begin = perf_counter_ns()
            value = get_or_set(key, lambda key=key: self._load(key))  # type: ignore[misc]  # a default binds the key
            latency.add(perf_counter_ns() - begin)
            if checking:
                self._check(number)
                if value != value_of(key):
                    self._wrong += 1
            if not number % _SAMPLE_EVERY:
                self._sample()
        self._seconds = perf_counter() - self._started
        self._sample()
        return self.figures()

    @property
    def requests(self) -> int:
        """Return the requests up to now, at no cost."""
        return self._latency.count

    @property
    def is_done(self) -> bool:
        """Return whether the last request has been answered."""
        return self._seconds > 0

    def figures(self) -> Replayed:
        """Return the figures up to now."""
        latency = self._latency
        return Replayed(
            requests=latency.count,
            loads=self._loads,
            wrong=self._wrong,
            seconds=self._seconds or perf_counter() - self._started,
            median_us=latency.quantile_us(0.5),
            mean_us=latency.mean_us(),
            p99_us=latency.quantile_us(0.99),
            residency_checks=self._checks,
            over_capacity=self._over,
            first_over=self._first_over,
            memory=self._memory.trend() if self._memory else None,
        )

    def _load(self, key: str) -> object:
        self._loads += 1
        return self._value_of(key)

    def _check(self, number: int) -> None:
        if self._residency is None:
            return
        self._checks += 1
        if not self._residency().is_within:
            self._over += 1
            if self._first_over is None:
                self._first_over = number

    def _sample(self) -> None:
        if self._memory is not None:
            self._memory.sample(self._residency().held_bytes if self._residency else 0)
        if self._observe is not None:
            self._observe(self)
