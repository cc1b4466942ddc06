"""The session workload: seeded, skewed, partly cold."""

from collections import Counter
from itertools import islice

import orjson

from example_project.tour._workload import TENANTS, row, visits


def test_equal_seeds_give_equal_requests():
    assert list(islice(visits(7), 2_000)) == list(islice(visits(7), 2_000))
    assert list(islice(visits(7), 2_000)) != list(islice(visits(8), 2_000))


def test_some_names_are_popular_with_every_worker_and_some_are_new():
    one, two = (Counter(islice(visits(seed), 30_000)) for seed in (1, 2))
    top = {name for name, _ in one.most_common(20)}
    assert len(top & {name for name, _ in two.most_common(60)}) >= 10
    assert sum(1 for count in one.values() if count == 1) > 5_000
    assert {tenant for tenant, _ in one} == set(TENANTS)


def test_a_row_is_the_same_for_the_same_name_and_another_for_another_tenant():
    assert row("acme", "track:1") == row("acme", "track:1")
    assert row("acme", "track:1") != row("globex", "track:1")
    sizes = [len(orjson.dumps(row(tenant, key))) for tenant, key in islice(visits(3), 500)]
    assert min(sizes) > 200
    assert max(sizes) < 3_000
