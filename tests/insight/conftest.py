"""Managers on a fresh directory, and scrapes as a Prometheus server reads them."""

from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from caching_core import SyncCacheManager


class Scrape(dict):
    """Samples by name and labels."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        for family in self.families.values():
            for sample in family.samples:
                place = (sample.name, tuple(sorted(sample.labels.items())))
                assert place not in self, "two samples of one name and labels"
                self[place] = sample.value

    def value(self, name: str, **labels: str) -> float:
        return self[name, tuple(sorted(labels.items()))]


@pytest.fixture
def scraped() -> Callable[[object], Scrape]:
    return lambda manager: Scrape(manager.metrics_text())


@pytest.fixture
def opened(tmp_path):
    """Open a blocking manager; closed at the end."""
    made = []

    def make(**settings) -> SyncCacheManager:
        made.append(SyncCacheManager({"directory": str(tmp_path / "cache"), **settings}))
        return made[-1]

    yield make
    for manager in made:
        manager.close()
