"""``python -m caching_core.testing.history``: many processes on one directory, their reads checked for staleness."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from caching_core.testing.history import Plan, run


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m caching_core.testing.history",
        description="Run processes on one cache directory and check every read against what had been acknowledged.",
    )
    default = Plan("")
    for name, meaning in (
        ("processes", "worker processes"),
        ("operations", "operations in all"),
        ("seed", "seed of the workload"),
        ("concurrency", "threads or tasks per process"),
        ("keys", "keys"),
        ("counters", "counters"),
        ("tenants", "tenants"),
    ):
        parser.add_argument(f"--{name}", type=int, default=getattr(default, name), help=f"{meaning} (default %(default)s)")
    parser.add_argument("--world", choices=("blocking", "loop", "mixed"), default=default.world, help="default %(default)s")
    parser.add_argument("--subject", default=default.subject, help="what to test, as module:function (default: this cache)")
    parser.add_argument("--directory", type=Path, help="an empty directory to work in and keep (default: a temporary one)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def main() -> int:
    """Run and print; 0 if no invariant was violated and no call raised, else 1."""
    given = vars(_parser().parse_args())
    as_json, directory = given.pop("json"), given.pop("directory")
    with tempfile.TemporaryDirectory(prefix="caching-history-") as temporary:
        where = directory or Path(temporary)
        where.mkdir(parents=True, exist_ok=True)
        if any(where.iterdir()):
            print(f"{where} is not empty; name an empty directory", file=sys.stderr)  # noqa: T201 -- a command line
            return 2
        report = run(Plan(str(where), **given))
    print(json.dumps(report.as_dict()) if as_json else report.as_text())  # noqa: T201 -- a command line
    return 0 if report.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
