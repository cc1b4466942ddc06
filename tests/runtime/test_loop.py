"""The event-loop world: waiters that threads wake, background tasks, one loop after another."""

import asyncio
import os
import threading
import time

import pytest

from caching_core.runtime import LoopRuntime, Runtime
from caching_core.tenancy import current_tenant, use_tenant

LONG = 20.0


async def test_it_is_a_runtime():
    port: Runtime = LoopRuntime()
    before = time.monotonic()
    assert before <= port.now() <= time.monotonic()
    ran = []
    asyncio.get_running_loop().call_soon(ran.append, 1)
    await port.sleep(-1)
    assert ran


async def test_a_waiter_is_woken_from_a_thread_from_a_task_and_beforehand():
    runtime = LoopRuntime()
    by_thread, by_task, before = runtime.waiter(), runtime.waiter(), runtime.waiter()
    threading.Timer(0.01, by_thread.wake).start()
    asyncio.get_running_loop().call_later(0.01, by_task.wake)
    before.wake()
    assert await asyncio.gather(by_thread.wait(LONG), by_task.wait(LONG), before.wait(0)) == [True, True, True]


@pytest.mark.parametrize("timeout", [0.0, -1.0, 0.001])
async def test_a_waiter_that_nobody_wakes_gives_up_and_may_wait_again(timeout):
    waiter = LoopRuntime().waiter()
    assert await waiter.wait(timeout) is False
    waiter.wake()
    assert await waiter.wait(timeout) is True
    assert await waiter.wait(float("inf")) is True


async def test_a_waiter_woken_as_its_time_runs_out_counts_as_woken():
    waiter = LoopRuntime().waiter()
    waiting = asyncio.create_task(waiter.wait(0.0))
    await asyncio.sleep(0)  # it waits now, and its end is already on the way
    waiter.wake()
    assert await waiting is True


async def test_a_cancelled_wait_is_cancelled_and_the_waiter_stays_whole():
    waiter = LoopRuntime().waiter()
    waiting = asyncio.create_task(waiter.wait(LONG))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    waiter.wake()
    assert await waiter.wait(LONG) is True


def test_waking_after_the_loop_is_gone_is_harmless():
    runtime = LoopRuntime()

    async def make():
        return runtime.waiter()

    asyncio.run(make()).wake()


def test_one_runtime_serves_one_loop_after_another():
    runtime, ran = LoopRuntime(), []

    async def job() -> None:
        ran.append(asyncio.get_running_loop())

    async def use() -> None:
        waiter = runtime.waiter()
        threading.Timer(0.001, waiter.wake).start()
        assert await waiter.wait(LONG)
        runtime.spawn(job, name="job")
        assert await runtime.drain(LONG)

    for _ in range(3):
        asyncio.run(use())
    assert len(ran) == 3
    assert not runtime._tasks


def test_one_runtime_serves_loops_in_many_threads_at_once():
    runtime, waiters, answers = LoopRuntime(), [], []
    ready = threading.Barrier(5)

    async def use() -> None:
        waiters.append(runtime.waiter())
        mine = waiters[-1]
        await asyncio.to_thread(ready.wait, LONG)
        answers.append(await mine.wait(LONG))

    threads = [threading.Thread(target=asyncio.run, args=(use(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    ready.wait(LONG)
    for waiter in waiters:
        waiter.wake()
    for thread in threads:
        thread.join(LONG)
    assert answers == [True] * 4


async def test_background_tasks_are_kept_named_and_in_the_caller_s_context():
    runtime, seen, gate = LoopRuntime(), [], asyncio.Event()

    async def job() -> None:
        await gate.wait()
        seen.append((current_tenant(), asyncio.current_task().get_name()))

    with use_tenant("a"):
        runtime.spawn(job, name="refresh")
    assert not await runtime.drain(0.001)
    gate.set()
    assert await runtime.drain(LONG)
    assert seen == [("a", "refresh")]
    assert await runtime.drain(0)


async def test_a_failing_job_is_logged_and_leaves_nothing_behind(caplog):
    runtime = LoopRuntime()

    async def fail() -> None:
        raise ZeroDivisionError

    runtime.spawn(fail, name="refresh")
    assert await runtime.drain(LONG)
    await asyncio.sleep(0)
    assert "background job refresh failed" in caplog.text
    assert caplog.records[0].exc_info[0] is ZeroDivisionError
    assert not runtime._tasks


async def test_closing_cancels_what_runs_and_takes_no_more(caplog):
    runtime, cancelled = LoopRuntime(), []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    runtime.spawn(hang, name="hang")
    await asyncio.sleep(0)
    assert await runtime.aclose(LONG)
    runtime.spawn(hang, name="late")
    assert (cancelled, runtime.dropped) == ([1], 1)
    assert "late was dropped" in caplog.text


async def test_a_job_may_close_its_own_runtime():
    runtime, ended = LoopRuntime(), asyncio.Event()

    async def job() -> None:
        try:
            await runtime.aclose(LONG)
        finally:
            ended.set()

    runtime.spawn(job, name="closer")
    await asyncio.wait_for(ended.wait(), LONG)


async def test_a_job_may_wait_for_the_others():
    runtime, drained, gate = LoopRuntime(), [], asyncio.Event()

    async def job() -> None:
        drained.append(await runtime.drain(LONG))

    runtime.spawn(gate.wait, name="other")
    runtime.spawn(job, name="waits")
    await asyncio.sleep(0)
    assert drained == []
    gate.set()
    await asyncio.wait_for(asyncio.gather(*runtime._tasks), LONG)
    assert drained == [True]


def test_a_closed_runtime_forgets_tasks_of_a_loop_that_is_gone():
    runtime = LoopRuntime()
    loop = asyncio.new_event_loop()

    async def hang() -> None:
        await asyncio.Event().wait()

    async def use() -> None:
        runtime.spawn(hang, name="hang")
        await asyncio.sleep(0)

    loop.run_until_complete(use())
    (task,) = runtime._tasks
    task._log_destroy_pending = False  # left hanging on purpose
    loop.close()
    runtime.close()
    assert not runtime._tasks
    task.get_coro().close()


async def test_a_forked_child_uses_its_own_loop():
    runtime, gate = LoopRuntime(), asyncio.Event()
    runtime.spawn(gate.wait, name="parent's")
    await asyncio.sleep(0)
    child = os.fork()
    if child == 0:
        code = 2
        try:
            asyncio.events._set_running_loop(None)
            threading.Timer(LONG, os._exit, [3]).start()

            async def use() -> bool:
                done = asyncio.Event()

                async def job() -> None:
                    done.set()

                runtime.spawn(job, name="child's")
                return await runtime.drain(LONG) and done.is_set()

            code = 0 if not runtime._tasks and asyncio.run(use()) else 1
        finally:
            os._exit(code)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    gate.set()
    assert await runtime.drain(LONG)
