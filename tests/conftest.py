"""What every test can ask for: the shared contracts, one body for both worlds, skips that may be forbidden."""

import asyncio
import os
from collections.abc import Generator
from inspect import iscoroutinefunction
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder with pyproject.toml."""
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with the specification, traces and conformance suites."""
    named = os.environ.get("CACHING_SHARED")
    folder = Path(named) if named else ROOT.parent / "shared"
    if not (folder / "spec").is_dir():
        pytest.skip(f"shared: no {folder.name}/spec beside the checkout; CACHING_SHARED names another place")
    return folder


@pytest.fixture(params=["blocking", "loop"])
def world(request: pytest.FixtureRequest) -> str:
    """Run an ``async def`` test twice: driven by run_sync over blocking ports, and on an event loop."""
    return request.param


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine function, in the world that it asks for (without one: on a loop)."""
    if not iscoroutinefunction(pyfuncitem.obj):
        return None
    from caching_core.runtime import run_sync

    names = pyfuncitem._fixtureinfo.argnames
    coro = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    drive = run_sync if pyfuncitem.funcargs.get("world") == "blocking" else asyncio.run
    drive(coro)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that skips for want of something that CACHING_REQUIRE names (its reason begins ``name:``)."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.partition(":")[0] in {name.strip() for name in os.environ.get("CACHING_REQUIRE", "").split(",")}:
            report.outcome = "failed"
            report.longrepr = f"required by CACHING_REQUIRE, but skipped: {reason}"
    return report
