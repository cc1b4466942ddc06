"""A worker process of a run: ``python -m caching_core.testing.history._worker PLAN NUMBER``.

It says ``ready`` and waits for a line, does its operations, says ``done`` and waits for another line,
reads every key once, and ends with its figures as one line of JSON. Without its parent it ends.
"""

import asyncio
import json
import resource
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from caching_core.runtime import run_sync
from caching_core.testing.history._plan import Plan, Truth, Universe
from caching_core.testing.history._record import Recorder
from caching_core.testing.history._session import Session
from caching_core.testing.history._subject import open_subject


class Worker:
    """The sessions of one process."""

    def __init__(self, plan: Plan, number: int) -> None:
        self._plan = plan
        self._world = plan.world_of(number)
        directory = Path(plan.directory)
        self._recorder = Recorder(directory, number)
        universe = Universe(plan)
        self._truth = Truth(directory / "truth", plan.keys)
        self._subject = open_subject(plan, self._world)
        first = number * plan.concurrency
        self._sessions = [
            Session(universe, session, subject=self._subject, truth=self._truth, recorder=self._recorder)
            for session in range(first, first + plan.concurrency)
        ]
        self._errors: list[str] = []

    def run(self) -> dict[str, Any]:
        """Act, wait, sweep; return the figures."""
        if self._world == "loop":
            return asyncio.run(self._in_loop())
        operations = self._plan.operations // self._plan.sessions
        began = time.monotonic()
        threads = [threading.Thread(target=self._drive, args=(session, operations)) for session in self._sessions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - began
        _rendezvous("done")
        run_sync(self._sessions[0].sweep())
        return self._figures(run_sync(self._subject.close()), seconds)

    def _drive(self, session: Session, operations: int) -> None:
        try:
            run_sync(session.run(operations))
        except Exception as error:  # noqa: BLE001 -- a session that breaks is told in the figures, not on a lost thread's stderr
            self._errors.append(f"{type(error).__name__}: {error}")

    async def _in_loop(self) -> dict[str, Any]:
        operations = self._plan.operations // self._plan.sessions
        began = time.monotonic()
        ends = await asyncio.gather(*(session.run(operations) for session in self._sessions), return_exceptions=True)
        self._errors += [f"{type(error).__name__}: {error}" for error in ends if error is not None]
        seconds = time.monotonic() - began
        await asyncio.to_thread(_rendezvous, "done")
        await self._sessions[0].sweep()
        return self._figures(await self._subject.close(), seconds)

    def _figures(self, subject: dict[str, Any], seconds: float) -> dict[str, Any]:
        self._recorder.close()
        self._truth.close()
        counts: Counter[str] = Counter()
        for session in self._sessions:
            counts += session.counts
            self._errors += session.errors
        return {
            "seconds": seconds,
            "counts": dict(counts),
            "errors": self._errors,
            "subject": {name: figure for name, figure in subject.items() if isinstance(figure, int | float | str)},
            "max_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }


def _rendezvous(word: str) -> None:
    """Say where we are and wait for the parent; end if it is gone."""
    print(word, flush=True)  # noqa: T201 -- the protocol with the parent
    if not sys.stdin.readline():
        sys.exit(3)


def main() -> None:
    """Run the worker that the command line names."""
    worker = Worker(Plan.load(Path(sys.argv[1])), int(sys.argv[2]))
    _rendezvous("ready")
    print(json.dumps(worker.run()), flush=True)  # noqa: T201 -- the protocol with the parent


if __name__ == "__main__":
    main()
