"""The blocking world: waiters that threads wake, background work, forks."""

import logging
import os
import sys
import threading
import time

import pytest

from caching_core.errors import EngineSuspended
from caching_core.runtime import BlockingRuntime, Mutex, Runtime, run_sync

LONG = 20.0


@pytest.fixture
def runtime():
    made = BlockingRuntime(workers=2, backlog=3)
    yield made
    assert made.close(LONG)


def in_child(check) -> int:
    """Run a check in a forked child; return its exit code (0 good, 1 wrong, 2 error, 3 too slow)."""
    child = os.fork()
    if child == 0:
        code = 2
        try:
            threading.Timer(LONG, os._exit, [3]).start()
            code = 0 if check() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Gate:
    """A job that says when it runs and ends when it may."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.may_end = threading.Event()
        self.ended = 0

    async def job(self) -> None:
        self.entered.release()
        assert self.may_end.wait(LONG)
        self.ended += 1


def test_it_is_a_runtime(runtime):
    port: Runtime = runtime
    before = time.monotonic()
    assert before <= port.now() <= time.monotonic()
    run_sync(port.sleep(0.001))
    run_sync(port.sleep(-1))
    assert port.now() > before


def test_a_waiter_is_woken_by_another_thread(runtime):
    waiter = runtime.waiter()
    threading.Timer(0.01, waiter.wake).start()
    assert run_sync(waiter.wait(LONG)) is True


def test_a_waiter_woken_before_it_waits_does_not_wait(runtime):
    waiter = runtime.waiter()
    waiter.wake()
    waiter.wake()
    assert run_sync(waiter.wait(0)) is True


def test_a_wait_may_be_without_end(runtime):
    waiter = runtime.waiter()
    threading.Timer(0.01, waiter.wake).start()
    assert run_sync(waiter.wait(float("inf"))) is True


@pytest.mark.parametrize("timeout", [0.0, -1.0, 0.001])
def test_a_waiter_that_nobody_wakes_gives_up_and_may_wait_again(runtime, timeout):
    waiter = runtime.waiter()
    assert run_sync(waiter.wait(timeout)) is False
    waiter.wake()
    assert run_sync(waiter.wait(timeout)) is True


def test_jobs_run_at_once_up_to_the_number_of_workers_and_all_get_their_turn():
    runtime, gate = BlockingRuntime(workers=2), Gate()
    for number in range(5):
        runtime.spawn(gate.job, name=f"job {number}")
    assert gate.entered.acquire(timeout=LONG)
    assert gate.entered.acquire(timeout=LONG)
    assert not gate.entered.acquire(blocking=False)
    gate.may_end.set()
    assert runtime.drain(LONG)
    assert gate.ended == 5
    assert runtime.dropped == 0
    assert runtime.close(LONG)


def test_one_free_worker_is_not_promised_to_two_jobs(monkeypatch):
    runtime, first, gate = BlockingRuntime(workers=2), Gate(), Gate()
    first.may_end.set()
    runtime.spawn(first.job, name="first")
    with runtime._changed:
        assert runtime._changed.wait_for(lambda: first.ended == 1 and not runtime._running, LONG)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5.0)  # the free worker must not wake up between the two
    try:
        runtime.spawn(gate.job, name="second")
        runtime.spawn(gate.job, name="third")
    finally:
        sys.setswitchinterval(interval)
    for _ in range(2):
        assert gate.entered.acquire(timeout=LONG)
    gate.may_end.set()
    assert runtime.close(LONG)


def test_what_does_not_fit_into_the_backlog_is_dropped_counted_and_logged(runtime, caplog):
    gate = Gate()
    for _ in range(2):
        runtime.spawn(gate.job, name="running")
        assert gate.entered.acquire(timeout=LONG)
    for _ in range(3):
        runtime.spawn(gate.job, name="waiting")
    runtime.spawn(gate.job, name="one too many")
    assert runtime.dropped == 1
    assert "one too many was dropped: too many are waiting" in caplog.text
    gate.may_end.set()
    assert runtime.drain(LONG)
    assert gate.ended == 5


def test_a_failing_job_is_logged_and_harms_nobody(runtime, caplog):
    async def fail() -> None:
        raise ZeroDivisionError

    async def suspend() -> None:
        class Never:
            def __await__(self):
                yield

        await Never()

    async def leave() -> None:
        raise SystemExit

    done = threading.Event()

    async def work() -> None:
        done.set()

    with caplog.at_level(logging.ERROR, "caching_core.runtime"):
        for job in (fail, suspend, leave, work):
            runtime.spawn(job, name=job.__name__)
            assert runtime.drain(LONG)
    assert done.is_set()
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError, EngineSuspended, SystemExit]
    assert "background job fail failed" in caplog.text


def test_idle_workers_end_and_come_back(runtime):
    quick = BlockingRuntime(workers=3, idle=0.001)
    for _ in range(3):
        done = threading.Event()

        async def work(done=done) -> None:
            done.set()

        quick.spawn(work, name="work")
        assert done.wait(LONG)
        threads = list(quick._threads)
        for thread in threads:
            thread.join(LONG)
        assert not quick._threads
    assert quick.close(LONG)


def test_a_stream_of_jobs_loses_none():
    stream = BlockingRuntime(workers=3, backlog=100_000, idle=0.0001)
    lock, count = Mutex(), [0]

    async def work() -> None:
        with lock:
            count[0] += 1

    def feed() -> None:
        for _ in range(1000):
            stream.spawn(work, name="work")

    feeders = [threading.Thread(target=feed) for _ in range(4)]
    for feeder in feeders:
        feeder.start()
    for feeder in feeders:
        feeder.join(LONG)
    assert stream.drain(LONG)
    assert (count[0], stream.dropped) == (4000, 0)
    assert stream._waiting <= len(stream._threads) <= 3
    assert stream.close(LONG)


def test_closing_waits_for_what_runs_and_drops_what_waits(caplog):
    runtime, gate = BlockingRuntime(workers=1), Gate()
    runtime.spawn(gate.job, name="running")
    assert gate.entered.acquire(timeout=LONG)
    runtime.spawn(gate.job, name="waiting")
    assert not runtime.close(0.01)
    runtime.spawn(gate.job, name="late")
    assert "late was dropped: the runtime is closed" in caplog.text
    gate.may_end.set()
    assert runtime.close(LONG)
    assert (gate.ended, runtime.dropped) == (1, 2)


def test_a_job_may_close_its_own_runtime():
    runtime, entered, closed = BlockingRuntime(), threading.Event(), []

    async def job() -> None:
        entered.set()
        closed.append(runtime.close(LONG))

    runtime.spawn(job, name="closer")
    assert entered.wait(LONG)
    assert runtime.close(LONG)
    assert closed == [True]


def test_without_threads_a_job_is_dropped_and_nothing_breaks(runtime, monkeypatch, caplog):
    def refuse(self) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    runtime.spawn(Gate().job, name="poor")
    assert "poor was dropped: no thread can be made" in caplog.text
    monkeypatch.undo()
    assert runtime.drain(0)


def test_a_forked_child_starts_with_empty_hands(runtime):
    gate = Gate()
    for _ in range(2):
        runtime.spawn(gate.job, name="parent's")
        assert gate.entered.acquire(timeout=LONG)
    for _ in range(2):
        runtime.spawn(gate.job, name="parent's")

    def check() -> bool:
        done = threading.Event()

        async def work() -> None:
            done.set()

        runtime.spawn(work, name="child's")
        return done.wait(LONG) and runtime.close(LONG) and gate.ended == 0

    with runtime._changed:  # held by the parent at the moment of the fork
        code = in_child(check)
    assert code == 0
    gate.may_end.set()
    assert runtime.drain(LONG)
    assert gate.ended == 4


def test_the_process_ends_while_a_job_hangs():
    def check() -> bool:
        runtime, gate = BlockingRuntime(), Gate()
        runtime.spawn(gate.job, name="hangs")
        return gate.entered.acquire(timeout=LONG)

    assert in_child(check) == 0
