"""The harness: starts the workers of a run, keeps them in step, may kill them, and checks what they recorded."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from caching_core.testing.history._check import check
from caching_core.testing.history._plan import Plan, Truth, Universe
from caching_core.testing.history._record import Recorder
from caching_core.testing.history._report import Report

_PARENT: Final = 9999


class WorkerFailed(AssertionError):
    """A worker process ended before it should."""


class Run:
    """A run of a plan, as a context manager: ``start``, then ``finish``; ``kill`` and ``replace`` in between.

    The directory must exist and be empty of another run's files.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._path = plan.save()
        self._workers: dict[int, subprocess.Popen[str]] = {}
        self._started = 0.0
        directory = Path(plan.directory)
        Truth(directory / "truth", plan.keys).close()
        recorder = Recorder(directory, _PARENT)
        Universe(plan).describe(recorder)
        recorder.close()

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave no process behind."""
        for worker in self._workers.values():
            worker.kill()
        for worker in self._workers.values():
            worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    pipe.close()

    def start(self) -> None:
        """Start all workers, and let them go at once."""
        for number in range(self.plan.processes):
            self._spawn(number)
        for number in self._workers:
            self._expect(number, "ready")
        self._started = time.monotonic()
        for number in self._workers:
            self._go(number)

    def _spawn(self, number: int) -> None:
        command = [sys.executable, "-m", "caching_core.testing.history._worker", str(self._path), str(number)]
        self._workers[number] = subprocess.Popen(  # noqa: S603 -- this interpreter, our module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def _line(self, number: int) -> str:
        worker = self._workers[number]
        assert worker.stdout is not None
        line = worker.stdout.readline().strip()
        if not line:
            raise WorkerFailed(f"worker {number} ended with exit code {worker.wait()}; its traceback stands on stderr")
        return line

    def _expect(self, number: int, word: str) -> None:
        line = self._line(number)
        if line != word:
            raise WorkerFailed(f"worker {number} said {line!r} instead of {word!r}")

    def _go(self, number: int) -> None:
        stdin = self._workers[number].stdin
        assert stdin is not None
        stdin.write("go\n")
        stdin.flush()

    def replace(self, number: int) -> None:
        """Kill a worker with SIGKILL, wherever it is, and start another in its place, which acts until the end."""
        worker = self._workers[number]
        worker.kill()
        worker.wait()
        for pipe in (worker.stdin, worker.stdout):
            if pipe is not None:
                pipe.close()
        self._spawn(number)
        self._expect(number, "ready")
        self._go(number)

    def finish(self) -> Report:
        """Wait until all have done their operations, let them sweep, and check the histories."""
        for number in self._workers:
            self._expect(number, "done")
        seconds = time.monotonic() - self._started
        for number in self._workers:
            self._go(number)
        figures = [json.loads(self._line(number)) for number in self._workers]
        for worker in self._workers.values():
            if worker.wait() != 0:
                raise WorkerFailed(f"a worker ended with exit code {worker.returncode}; its traceback stands on stderr")
        began = time.monotonic()
        report = check(sorted(Path(self.plan.directory).glob("history-*.bin")))
        return replace(report, run=_summary(figures, seconds, checked=time.monotonic() - began))


def _summary(figures: list[dict[str, Any]], seconds: float, *, checked: float) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for worker in figures:
        for name, count in worker["counts"].items():
            counts[name] = counts.get(name, 0) + count
    errors = [error for worker in figures for error in worker["errors"]]
    return {
        "seconds": round(seconds, 3),
        "check_seconds": round(checked, 3),
        "counts": counts,
        "worker_errors": errors[:20],
        "max_rss_bytes": max(worker["max_rss_bytes"] for worker in figures),
        "subjects": [worker["subject"] for worker in figures],
    }


def run(plan: Plan) -> Report:
    """Run a plan from start to end and return the report."""
    with Run(plan) as running:
        running.start()
        return running.finish()
