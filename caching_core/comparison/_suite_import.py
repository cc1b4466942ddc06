"""Suite import: what a process pays before its first hit (F10)."""

import sys
from collections.abc import Iterator

from caching_core.bench import Row, Series
from caching_core.comparison._plan import Plan
from caching_core.comparison._process import ask, ask_module

_IMPORT = "import time; begin = time.perf_counter(); import caching_core; print(time.perf_counter() - begin)"


def run_import(plan: Plan) -> Iterator[Row]:
    """Import in fresh interpreters, then fork a process whose cache is in use."""
    plan.say("import: fresh interpreters")
    _import_seconds()  # writes the bytecode, as an installer does
    imports: list[float] = []
    for number in range(plan.rounds):
        plan.say(f"import: fresh interpreter {number + 1} of {plan.rounds}")
        imports.append(_import_seconds())
    yield Row("F10", "import caching_core", Series(tuple(imports)), unit="s", limit=0.15, note="bytecode present, files in the page cache")
    plan.say("import: first get after fork")
    task = {"directory": str(plan.directory / "fork"), "rounds": plan.rounds}
    answer = ask_module("caching_core.comparison._first_use", task)
    for key, what in (("warm", "held by L1 before the fork"), ("cold", "on disk")):
        series = Series(tuple(float(seconds) * 1000 for seconds in answer[key]))
        yield Row("F10", f"first get after fork, {what}", series, unit="ms", limit=5.0)


def _import_seconds() -> float:
    return float(ask([sys.executable, "-c", _IMPORT], {}))
