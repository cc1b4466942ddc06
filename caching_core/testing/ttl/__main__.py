"""``python -m caching_core.testing.ttl``: the adaptive TTL on simulated updates, beside the best fixed lifetimes."""

import argparse
import json
import sys
from pathlib import Path
from statistics import fmean

from caching_core.testing.ttl import Plan, Result, Workloads, WorkloadsMissing, run


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m caching_core.testing.ttl",
        description="Replay a day of reads and changes through the model for lifetimes, beside the best fixed TTLs in hindsight.",
    )
    plan = Plan()
    parser.add_argument("--workloads", type=Path, default=Path("../shared/workloads"), help="folder of updates.py (default %(default)s)")
    parser.add_argument("--workload", default=plan.workload, help="poisson, mixture, drift, … (default %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(plan.seeds), help="default: 1 2 3")
    parser.add_argument("--stale", type=float, default=plan.stale, help="budget, a share of the reads (default %(default)s)")
    parser.add_argument("--reads", type=int, default=plan.reads, help="default %(default)s")
    parser.add_argument("--keys", type=int, default=plan.keys, help="default %(default)s")
    parser.add_argument("--shadow", action="store_true", help="let the model only report, under a fixed lifetime")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser


def main() -> int:
    """Run and print; 0 unless the workloads are missing."""
    given = _parser().parse_args()
    try:
        workloads = Workloads(given.workloads)
    except WorkloadsMissing as error:
        print(error, file=sys.stderr)  # noqa: T201 -- a command line
        return 2
    if given.workload not in workloads.names:
        print(f"--workload {given.workload}: choose one of {', '.join(workloads.names)}", file=sys.stderr)  # noqa: T201 -- as above
        return 2
    plan = Plan(given.workload, tuple(given.seeds), given.stale, given.reads, given.keys, acts=not given.shadow)
    results: list[Result] = []
    if not given.json:
        print(f"{plan.workload}, {plan.reads:,} reads, budget {plan.stale:.1%} stale; hit ratios in percent")  # noqa: T201 -- as above
    for result in run(plan, workloads):
        results.append(result)
        if not given.json:
            _show(f"seed {result.seed}", result.hit_ratio, result.stale, result.fixed_hit_ratio)
    if given.json:
        print(json.dumps([result.as_dict() for result in results]))  # noqa: T201 -- as above
    else:
        _show("mean", *(fmean(getattr(result, name) for result in results) for name in ("hit_ratio", "stale", "fixed_hit_ratio")))
    return 0


def _show(label: str, hit_ratio: float, stale: float, fixed: float) -> None:
    print(  # noqa: T201 -- a command line
        f"  {label:8} adaptive {hit_ratio:6.2f}  stale {stale:5.2f} %   best fixed per type {fixed:6.2f}   gain {hit_ratio - fixed:+6.2f}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
