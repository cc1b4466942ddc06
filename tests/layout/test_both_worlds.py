"""The hooks of tests/conftest.py: one body in both worlds, skips that may be forbidden."""

import asyncio
import os
import subprocess
import sys

import pytest

from caching_core.errors import EngineSuspended


def running_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def test_the_world_is_the_one_asked_for(world):
    assert running_loop() is (world == "loop")


async def test_without_a_world_a_test_runs_on_a_loop():
    await asyncio.sleep(0)
    assert running_loop()


@pytest.mark.xfail(raises=EngineSuspended, strict=True, reason="the blocking world has no loop to suspend on")
@pytest.mark.parametrize("world", ["blocking"])
async def test_a_body_that_suspends_fails_in_the_blocking_world(world):
    await asyncio.sleep(0)


@pytest.mark.parametrize(("required", "code"), [("", 0), ("other", 0), ("shared,other", 1)])
def test_a_required_thing_may_not_be_skipped(required, code, checkout, tmp_path):
    subject = tmp_path / "test_subject.py"
    subject.write_text("def test_reads(shared_dir):\n    pass\n", encoding="utf-8")
    environment = {
        **os.environ,
        "CACHING_REQUIRE": required,
        "CACHING_SHARED": str(tmp_path),
        "PYTHONPATH": f"{checkout}:{checkout / 'tests'}",
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "conftest",
        "-p",
        "no:cacheprovider",
        "-q",
        "-rs",
        "--rootdir",
        str(tmp_path),
        str(subject),
    ]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stdout
    assert ("1 skipped" in done.stdout) is (code == 0)
