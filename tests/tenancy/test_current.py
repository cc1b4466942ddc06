"""The tenant and the actor of a context: set, reset, carried; never seen by another."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from caching_core.errors import TenantUnknown
from caching_core.runtime import BlockingRuntime
from caching_core.tenancy import Actor, carry_tenant, current_actor, current_tenant, use_actor, use_tenant


def test_what_was_before_comes_back():
    assert current_tenant() is None
    with use_tenant("a") as given:
        assert given == current_tenant() == "a"
        with use_tenant("b"):
            assert current_tenant() == "b"
            with use_tenant(None):
                assert current_tenant() is None
        assert current_tenant() == "a"
    assert current_tenant() is None


def test_an_error_in_the_block_resets_too():
    actor = Actor("user", "7", ("admin",))
    with pytest.raises(ZeroDivisionError), use_tenant("a"), use_actor(actor):
        1 / (current_actor() is not actor)
    assert current_tenant() is None
    assert current_actor() is None


def test_an_id_out_of_form_changes_nothing():
    with use_tenant("a"):
        with pytest.raises(TenantUnknown), use_tenant("A"):
            pytest.fail("the block ran")
        assert current_tenant() == "a"


def test_an_actor_cannot_be_changed():
    roles = ["reader"]
    actor = Actor("user", "7", roles)
    roles.append("admin")
    assert actor.roles == ("reader",)
    assert Actor("user", "7", "admin").roles == ("admin",)
    assert actor == Actor("user", "7", ("reader",))
    assert len({actor, Actor("user", "7", ("reader",))}) == 1
    with pytest.raises(AttributeError):
        actor.id = "8"


def test_a_bare_executor_sees_the_carried_tenant_only():
    with ThreadPoolExecutor(1) as pool:
        with use_tenant("a"), use_actor(Actor("user", "7")):
            carried = carry_tenant(lambda: (current_tenant(), current_actor()))
            assert pool.submit(current_tenant).result() is None
        assert pool.submit(carried).result() == ("a", Actor("user", "7"))
        assert pool.submit(current_tenant).result() is None
        with use_tenant("b"):
            assert carried() == ("a", Actor("user", "7"))
            assert current_tenant() == "b"


def test_a_carried_function_keeps_its_name_arguments_and_errors():
    def divide(left: int, *, by: int) -> float:
        """Divide."""
        return left / by

    carried = carry_tenant(divide)
    assert (carried.__name__, carried(6, by=3)) == ("divide", 2)
    with pytest.raises(ZeroDivisionError):
        carried(1, by=0)


def test_carrying_nothing_hides_what_the_thread_has():
    carried = carry_tenant(current_tenant)
    with use_tenant("a"):
        assert carried() is None


async def test_tasks_threads_and_requests_do_not_mix():
    async def request(number: int) -> list[str | None]:
        with use_tenant(f"t{number % 50}"):
            await asyncio.sleep(0)
            in_task = asyncio.create_task(reader())
            in_thread = asyncio.to_thread(current_tenant) if number % 20 == 0 else reader()
            return [current_tenant(), await in_task, await in_thread, current_tenant()]

    async def reader() -> str | None:
        await asyncio.sleep(0)
        return current_tenant()

    answers = await asyncio.gather(*(request(number) for number in range(1000)))
    assert [set(found) for found in answers] == [{f"t{number % 50}"} for number in range(1000)]
    assert current_tenant() is None


def test_background_work_runs_for_the_caller_s_tenant_and_leaves_no_trace():
    runtime = BlockingRuntime(workers=1)
    seen: list[str | None] = []
    done = threading.Event()

    async def job() -> None:
        seen.append(current_tenant())
        if len(seen) == 3:
            done.set()

    with use_tenant("a"):
        runtime.spawn(job, name="a")
    runtime.spawn(job, name="none")
    with use_tenant("b"):
        runtime.spawn(job, name="b")
    assert done.wait(10)
    assert seen == ["a", None, "b"]
    assert runtime.close()
