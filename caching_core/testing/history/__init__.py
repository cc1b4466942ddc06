"""Histories: record what many processes read and write through a cache, and find every read that should not have been.

A ``Recorder`` per process, ``check`` over their files; or ``run`` with a ``Plan``, which brings the processes too.
"""

from caching_core.testing.history._check import check, check_histories
from caching_core.testing.history._gather import CounterEvents, Histories, KeyEvents, Touch, Turn, gather
from caching_core.testing.history._harness import Run, WorkerFailed, run
from caching_core.testing.history._plan import Place, Plan, Truth, Universe
from caching_core.testing.history._record import Kind, Recorder, Scope, Tier, read_history
from caching_core.testing.history._report import CURVE_MS, INVARIANTS, CounterExample, Report
from caching_core.testing.history._subject import Handle, Subject, open_cache

__all__ = [
    "CURVE_MS",
    "INVARIANTS",
    "CounterEvents",
    "CounterExample",
    "Handle",
    "Histories",
    "KeyEvents",
    "Kind",
    "Place",
    "Plan",
    "Recorder",
    "Report",
    "Run",
    "Scope",
    "Subject",
    "Tier",
    "Touch",
    "Truth",
    "Turn",
    "Universe",
    "WorkerFailed",
    "check",
    "check_histories",
    "gather",
    "open_cache",
    "read_history",
    "run",
]
