"""The periodic worker: turns, errors, stop and start, forks, exit."""

import gc
import os
import subprocess
import sys
import threading
import weakref

from caching_core.runtime import PeriodicWorker, after_fork_in_child

LONG = 20.0
NEVER = 3600.0


class Turns:
    """Count turns, and wait for them."""

    def __init__(self) -> None:
        self.count = 0
        self.changed = threading.Condition()
        self.threads: set[int] = set()

    def __call__(self) -> None:
        with self.changed:
            self.count += 1
            self.threads.add(threading.get_ident())
            self.changed.notify_all()

    def reach(self, count: int) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.count >= count, LONG)


def test_turns_come_by_themselves():
    turns = Turns()
    worker = PeriodicWorker(0.001, turns, "turns")
    assert not worker.is_running
    worker.ensure()
    assert turns.reach(3)
    assert worker.is_running
    assert worker.stop(LONG)
    assert not worker.is_running
    after = turns.count
    worker.poke()
    assert turns.count == after


def test_a_poke_brings_the_turn_now_and_ensure_makes_one_thread_only():
    turns, looked = Turns(), threading.Semaphore(0)

    class Watched(PeriodicWorker):
        def _is_alive(self) -> bool:
            answer = super()._is_alive()
            looked.release()
            return answer

    worker = Watched(NEVER, turns, "only one of these")
    starters = [threading.Thread(target=worker.ensure) for _ in range(8)]
    with worker._lock:  # all of them see that there is no thread, then go on together
        for starter in starters:
            starter.start()
        for _ in starters:
            assert looked.acquire(timeout=LONG)
    for starter in starters:
        starter.join(LONG)
    assert [thread.name for thread in threading.enumerate()].count("only one of these") == 1
    for count in range(1, 4):
        worker.poke()
        assert turns.reach(count)
    assert worker.stop(LONG)
    assert turns.count == 3


def test_a_failing_turn_is_logged_and_the_next_one_comes(caplog):
    turns = Turns()

    def job() -> None:
        turns()
        raise ZeroDivisionError

    worker = PeriodicWorker(0.001, job, "breaks")
    worker.ensure()
    assert turns.reach(3)
    assert worker.stop(LONG)
    assert "a turn of the thread breaks failed" in caplog.text


def test_it_may_be_stopped_and_started_again_and_stopped_twice():
    turns = Turns()
    worker = PeriodicWorker(0.001, turns, "turns")
    assert worker.stop()
    for count in (1, 2):
        worker.ensure()
        assert turns.reach(turns.count + count)
        assert worker.stop(LONG)
        assert worker.stop(LONG)


def test_a_turn_may_stop_its_own_worker():
    stopped = threading.Event()

    def job() -> None:
        if worker.stop(LONG):
            stopped.set()

    worker = PeriodicWorker(0.001, job, "suicidal")
    worker.ensure()
    thread = worker._thread
    assert stopped.wait(LONG)
    if thread is not None:
        thread.join(LONG)
    assert not worker.is_running


def test_a_turn_that_hangs_is_not_waited_for_beyond_the_limit():
    entered, may_end = threading.Event(), threading.Event()

    def job() -> None:
        entered.set()
        may_end.wait(LONG)

    worker = PeriodicWorker(0.001, job, "hangs")
    worker.ensure()
    assert entered.wait(LONG)
    assert not worker.stop(0.01)
    may_end.set()


def test_a_forked_child_has_no_thread_until_it_asks():
    turns = Turns()
    worker = PeriodicWorker(NEVER, turns, "turns")
    worker.ensure()
    with worker._lock:  # held by the parent at the moment of the fork
        child = os.fork()
        if child == 0:
            code = 2
            try:
                threading.Timer(LONG, os._exit, [3]).start()
                turns.__init__()
                was_running = worker.is_running
                worker.ensure()
                worker.poke()
                code = 0 if not was_running and turns.reach(1) and worker.stop(LONG) else 1
            finally:
                os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert worker.is_running
    worker.poke()
    assert turns.reach(1)
    assert worker.stop(LONG)


PROBE = """
import sys, types
core = types.ModuleType("caching_core")
core.__path__ = ["caching_core"]
sys.modules["caching_core"] = core
import threading
from caching_core.runtime import BlockingRuntime, PeriodicWorker
entered = threading.Semaphore(0)
def hang():
    entered.release()
    threading.Event().wait()
async def job():
    hang()
worker = PeriodicWorker(0.001, hang, "hangs")
worker.ensure()
runtime = BlockingRuntime()
runtime.spawn(job, name="hangs")
assert entered.acquire(timeout=20) and entered.acquire(timeout=20)
print("end")
"""


def test_neither_worker_keeps_the_process_alive(checkout):
    done = subprocess.run([sys.executable, "-c", PROBE], cwd=checkout, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "end\n"
    assert done.stderr == ""


def test_what_is_gone_is_not_called_after_a_fork():
    class Thing:
        def __init__(self) -> None:
            self.calls = 0
            after_fork_in_child(self.call)

        def call(self) -> None:
            self.calls += 1

    kept, gone = Thing(), Thing()
    reference = weakref.ref(gone)
    del gone
    gc.collect()
    assert reference() is None
    child = os.fork()
    if child == 0:
        os._exit(kept.calls)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert kept.calls == 0
