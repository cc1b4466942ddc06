"""The simulation: seeds of a workload through the model, each beside the best fixed lifetimes."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from caching_core.config import CacheConfig
from caching_core.learning import AdaptiveTTL
from caching_core.testing.ttl._policy import ModelPolicy
from caching_core.testing.ttl._workloads import Workloads


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate. ``stale``: the budget, a share of the reads."""

    workload: str = "mixture"
    seeds: tuple[int, ...] = (1, 2, 3)
    stale: float = 0.01
    reads: int = 300_000
    keys: int = 40_000
    acts: bool = True


@dataclass(frozen=True, slots=True)
class Result:
    """One seed, in percent of all reads. ``expected``: what the model itself makes of its lifetimes."""

    seed: int
    hit_ratio: float
    stale: float
    fixed_hit_ratio: float
    expected_hit_ratio: float
    expected_stale: float

    @property
    def gain(self) -> float:
        """Return the points above the best fixed lifetime per data type."""
        return self.hit_ratio - self.fixed_hit_ratio

    def as_dict(self) -> dict[str, float]:
        """Return a plain mapping, for JSON."""
        return {**asdict(self), "gain": self.gain}


def run(plan: Plan, workloads: Workloads) -> Iterator[Result]:
    """Yield one result per seed. The settings are the defaults, but that a value may live as long as the fixed ones may."""
    stretch = 4.0
    settings = {
        "ml_predictions": plan.acts,
        "default_ttl": workloads.longest_ttl / stretch,
        "ttl_stretch": stretch,
        "learning": {"staleness_budget": plan.stale},
    }
    config = CacheConfig.build(settings, environ={})
    for seed in plan.seeds:
        trace = workloads.trace(plan.workload, seed, reads=plan.reads, keys=plan.keys)
        model = AdaptiveTTL.of(config)
        score = workloads.replay(trace, ModelPolicy(model, workloads.longest_ttl / stretch))
        fixed = workloads.best_fixed(trace, plan.stale)
        figures = model.figures()
        yield Result(
            seed,
            100 * score.hit,
            100 * score.stale,
            100 * fixed.hit,
            figures.hit_ratio or 0.0,
            figures.stale or 0.0,
        )
