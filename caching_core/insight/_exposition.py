"""Samples as the Prometheus text format; imported where a scrape is asked for, since its library takes a while to load."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client import Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from caching_core.engine import BOUNDS, Timing
from caching_core.insight._families import Family, Kind

Samples = Mapping[Family, Sequence[tuple[tuple[str, ...], float | Timing]]]

_LIMITS: Final = (*map(str, BOUNDS), "+Inf")


class _Scrape(Collector):
    """The samples of one moment."""

    def __init__(self, samples: Samples, prefix: str) -> None:
        self._samples = samples
        self._prefix = prefix

    def collect(self) -> Iterable[Metric]:
        """Yield every family, also one that has no samples yet."""
        for family, rows in self._samples.items():
            metric = _empty(family, self._prefix)
            for labels, value in rows:
                if isinstance(value, Timing):
                    assert isinstance(metric, HistogramMetricFamily)  # noqa: S101 -- for the type checker: histograms have timings
                    counts = accumulate(value.counts)
                    metric.add_metric(labels, [(limit, count) for limit, count in zip(_LIMITS, counts, strict=True)], value.seconds)
                else:
                    assert not isinstance(metric, HistogramMetricFamily)  # noqa: S101 -- as above
                    metric.add_metric(labels, value)
            yield metric


def _empty(family: Family, prefix: str) -> CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily:
    name = f"{prefix}_{family.name}" if prefix else family.name
    if family.kind is Kind.COUNTER:
        return CounterMetricFamily(name, family.meaning, labels=family.labels)
    if family.kind is Kind.GAUGE:
        return GaugeMetricFamily(name, family.meaning, labels=family.labels)
    return HistogramMetricFamily(name, family.meaning, labels=family.labels)


def exposition(samples: Samples, *, prefix: str) -> str:
    """Return the samples in the text format, version 0.0.4; names begin with ``prefix`` and an underscore, if there is one."""
    return generate_latest(_Scrape(samples, prefix)).decode()
