"""Suite growth: what an operation costs as L1 fills, from the smallest size to the largest (F9)."""

from collections.abc import Iterator
from contextlib import ExitStack

from caching_core.bench import Row, Series, Subject, reading, text_value, uniform_keys, writing, zipf_keys
from caching_core.comparison._ours import Ours, open_ours
from caching_core.comparison._plan import Plan

_ZIPF_LIMIT = 1.3
_UNIFORM_LIMIT = 1.5
_TAG_LIMIT_US = 5.0
_READS = 100_000
_TAG_ROUNDS = 200
_ZIPF_NOTE = "exponent 0.99, 100,000 reads: the rarer keys are not in the processor's caches, for a bare dict either"


def run_growth(plan: Plan) -> Iterator[Row]:
    """Hold all sizes at once and measure them in turn, beside bare dicts of the same sizes."""
    with ExitStack() as stack:
        caches: dict[int, Ours] = {}
        dicts: dict[int, dict[str, object]] = {}
        for size in plan.growth_sizes:
            plan.say(f"growth: filling {size:,} entries")
            place = plan.directory / f"growth-{size}"
            ours = stack.enter_context(open_ours(place, cache_levels=1, l1_max_size=size + 1, l1_max_bytes=2**33))
            caches[size], dicts[size] = ours, {}
            for name, value in ((name, text_value(number)) for number, name in enumerate(_names(size))):
                ours.fill(name, value, "all")
                dicts[size][name] = value
        before = {size: ours.stats() for size, ours in caches.items()}
        rows = [*_zipf_gets(plan, caches, dicts), *_uniform_gets(plan, caches, dicts)]
        for size, ours in caches.items():
            ours.confirm_only_l1(before[size])
        yield from rows
        yield from _zipf_sets(plan, caches)
        yield from _tags(plan, caches)


def _names(size: int) -> list[str]:
    return [f"key:{number}" for number in range(size)]


def _reads(plan: Plan) -> int:
    return min(_READS, plan.reads * 10)


def _zipf_gets(plan: Plan, caches: dict[int, Ours], dicts: dict[int, dict[str, object]]) -> Iterator[Row]:
    ends = (plan.growth_sizes[0], plan.growth_sizes[-1])
    drawn = {size: _drawn(plan, size) for size in caches}
    subjects = [reading(str(size), ours.get, drawn[size]) for size, ours in caches.items()]
    subjects += [reading(f"dict {size}", dicts[size].get, drawn[size]) for size in ends]
    figures = plan.measure("growth: Zipf get", subjects)
    yield from _beside_smallest(plan, "Zipf get", figures)
    ours = _loss(*(figures[str(size)] for size in ends))
    theirs = _loss(*(figures[f"dict {size}"] for size in ends))
    yield Row(
        "-", f"Zipf get, loss from {ends[0]:,} to {ends[1]:,}", ours, unit="x", peer="bare dict's loss", theirs=theirs, note=_ZIPF_NOTE
    )


def _zipf_sets(plan: Plan, caches: dict[int, Ours]) -> Iterator[Row]:
    subjects = [writing(str(size), ours.put, _drawn(plan, size), text_value(0)) for size, ours in caches.items()]
    yield from _beside_smallest(plan, "Zipf set", plan.measure("growth: Zipf set", subjects))


def _drawn(plan: Plan, size: int) -> list[str]:
    return zipf_keys(_names(size), _reads(plan))


def _beside_smallest(plan: Plan, what: str, figures: dict[str, Series]) -> Iterator[Row]:
    smallest, *others = plan.growth_sizes
    for size in others:
        last = size == others[-1]
        yield Row(
            "F9" if last else "-",
            f"{what} at {size:,}",
            figures[str(size)],
            peer=f"ours at {smallest:,}",
            theirs=figures[str(smallest)],
            limit=_ZIPF_LIMIT if last else None,
        )


def _uniform_gets(plan: Plan, caches: dict[int, Ours], dicts: dict[int, dict[str, object]]) -> Iterator[Row]:
    ends = (plan.growth_sizes[0], plan.growth_sizes[-1])
    drawn = {size: uniform_keys(_names(size), _reads(plan)) for size in ends}
    subjects: list[Subject] = []
    for size in ends:
        subjects.append(reading(f"ours {size}", caches[size].get, drawn[size]))
        subjects.append(reading(f"dict {size}", dicts[size].get, drawn[size]))
    figures = plan.measure("growth: uniform get", subjects)
    small, large = ends
    yield Row(
        "F9",
        f"uniform get, loss from {small:,} to {large:,}",
        _loss(figures[f"ours {small}"], figures[f"ours {large}"]),
        unit="x",
        peer="bare dict's loss",
        theirs=_loss(figures[f"dict {small}"], figures[f"dict {large}"]),
        limit=_UNIFORM_LIMIT,
    )


def _loss(small: Series, large: Series) -> Series:
    return Series(tuple(after / before for before, after in zip(small.samples, large.samples, strict=True)))


def _tags(plan: Plan, caches: dict[int, Ours]) -> Iterator[Row]:
    subjects = [reading(str(size), ours.invalidate_tag, ["all"] * _TAG_ROUNDS) for size, ours in caches.items()]
    figures = plan.measure("growth: invalidate a tag", subjects)
    for size in caches:
        yield Row("F9", f"invalidate a tag of {size:,} entries, L1", figures[str(size)], limit=_TAG_LIMIT_US)
