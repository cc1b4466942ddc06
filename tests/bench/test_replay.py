import random
from collections.abc import Callable, Iterator
from statistics import median, quantiles

import pytest

from caching_core.bench import LatencyHistogram, MemoryWatch, Replay, Residency, opaque_values, private_bytes


class DictHandle:
    """A cache of at most ``capacity`` entries, oldest out first."""

    def __init__(self, capacity: int, *, overshoot: int = 0) -> None:
        self.entries: dict[str, object] = {}
        self.capacity = capacity
        self.overshoot = overshoot

    def get(self, key: str, default: object = None, /) -> object:
        return self.entries.get(key, default)

    def set(self, key: str, value: object, /) -> object:
        self.entries[key] = value
        while len(self.entries) > self.capacity + self.overshoot:
            del self.entries[next(iter(self.entries))]
        return True

    def get_or_set(self, key: str, loader: Callable[[], object], /) -> object:
        if key not in self.entries:
            self.set(key, loader())
            return self.entries.get(key)
        return self.entries[key]

    def residency(self) -> Residency:
        return Residency(len(self.entries), 0, self.capacity, None)


def test_each_request_is_one_get_or_set() -> None:
    result = Replay(DictHandle(10), opaque_values(50)).run(["1", "2", "1", "1", "3"])
    assert (result.requests, result.loads, result.wrong, result.residency_checks) == (5, 3, 0, 0)
    assert result.seconds > 0
    assert result.mean_us > 0


def test_residency_is_checked_after_every_request() -> None:
    handle = DictHandle(4, overshoot=1)
    result = Replay(handle, opaque_values(50), residency=handle.residency).run(map(str, range(10)))
    assert result.residency_checks == 10
    assert (result.over_capacity, result.first_over) == (6, 5)
    within = DictHandle(4)
    assert Replay(within, opaque_values(50), residency=within.residency).run(map(str, range(10))).over_capacity == 0


def test_a_wrong_value_is_counted() -> None:
    handle = DictHandle(10)
    handle.set("2", b"of another key")
    assert Replay(handle, opaque_values(50), residency=handle.residency).run(["1", "2", "2"]).wrong == 2


@pytest.mark.parametrize(
    ("residency", "within"),
    [
        (Residency(5, 100, 5, 100), True),
        (Residency(6, 100, 5, 100), False),
        (Residency(5, 101, 5, 100), False),
        (Residency(5, 101, None, None), True),
    ],
)
def test_both_bounds_count(residency: Residency, within: bool) -> None:
    assert residency.is_within is within


def test_observe_sees_live_figures() -> None:
    seen: list[int] = []
    Replay(DictHandle(10), opaque_values(8), observe=lambda replay: seen.append(replay.figures().requests)).run(["1"] * 1100)
    assert seen == [512, 1024, 1100]


def test_errors_of_the_handle_pass_through() -> None:
    def broken() -> Iterator[str]:
        yield "1"
        raise OSError("the trace ended")

    with pytest.raises(OSError, match="the trace ended"):
        Replay(DictHandle(10), opaque_values(8)).run(broken())


def test_histogram_quantiles_are_within_3_percent() -> None:
    rng = random.Random(5)
    samples = [int(rng.lognormvariate(9, 2)) for _ in range(20_000)] + [0, 1, 31, 32, 33, 63, 64, 2**40]
    histogram = LatencyHistogram()
    for sample in samples:
        histogram.add(sample)
    assert histogram.count == len(samples)
    assert histogram.mean_us() == pytest.approx(sum(samples) / len(samples) / 1000)
    assert histogram.quantile_us(0.5) == pytest.approx(median(samples) / 1000, rel=0.035)
    assert histogram.quantile_us(0.99) == pytest.approx(quantiles(samples, n=100)[98] / 1000, rel=0.035)
    assert histogram.quantile_us(1.0) == pytest.approx(2**40 / 1000, rel=0.035)


@pytest.mark.parametrize("sample", [0, 1, 31, 32, 63, 64, 65, 127, 128, 10**6, 2**62 - 1])
def test_histogram_keeps_a_lone_sample(sample: int) -> None:
    histogram = LatencyHistogram()
    histogram.add(sample)
    assert histogram.quantile_us(0.5) == pytest.approx(sample / 1000, rel=0.016)


def test_an_empty_histogram_answers_zero() -> None:
    assert LatencyHistogram().quantile_us(0.5) == 0.0
    assert LatencyHistogram().mean_us() == 0.0


def test_memory_watch_tells_growth_from_a_filling_cache() -> None:
    def trend(memory: Callable[[int], int], held: Callable[[int], int]) -> bool:
        figures = iter(range(5000))
        watch = MemoryWatch(lambda: memory(next(figures)))
        for number in range(2000):
            watch.sample(held(number))
        result = watch.trend()
        assert result is not None
        return result.is_flat

    mib = 2**20
    assert trend(lambda _: 100 * mib, lambda _: 0)
    assert not trend(lambda n: (100 + n // 4) * mib, lambda _: 0)
    assert trend(lambda n: (100 + n // 4) * mib, lambda n: n // 4 * mib)


def test_memory_watch_keeps_a_bounded_number_of_samples() -> None:
    watch = MemoryWatch(lambda: 1)
    for _ in range(100_000):
        watch.sample()
    assert len(watch._samples) <= 256
    assert MemoryWatch(lambda: 1).trend() is None


def test_private_memory_grows_with_a_large_list() -> None:
    before = private_bytes()
    block = bytearray(64 * 2**20)
    for at in range(0, len(block), 4096):
        block[at] = 1
    assert private_bytes() - before > 48 * 2**20
