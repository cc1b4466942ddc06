"""Processes started by the launcher end with their parents, whatever ends the parent."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from caching_core.runtime import bound_to_parent
from example_project.tour._crew import is_alive

# A parent starts a child, the child a grandchild, all through the launcher; each says its id and then waits for ever.
FAMILY = """
import os, signal, subprocess, sys
from caching_core.runtime import bound_to_parent
depth = int(sys.argv[1])
print(os.getpid(), flush=True)
if depth:
    subprocess.Popen(bound_to_parent([sys.executable, __file__, str(depth - 1)]))
signal.pause()
"""


@pytest.fixture
def family(checkout, tmp_path):
    script = tmp_path / "family.py"
    script.write_text(FAMILY, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    with subprocess.Popen([sys.executable, str(script), "2"], cwd=checkout, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        try:
            pids = [int(parent.stdout.readline()) for _ in range(3)]
            assert all(map(is_alive, pids))
            yield parent, pids
        finally:
            parent.kill()


def test_child_and_grandchild_end_after_kill_9_of_the_parent(family, survivors):
    parent, pids = family
    parent.kill()
    parent.wait()
    assert survivors(pids) == []


def test_a_child_whose_parent_is_gone_already_does_not_start(tmp_path):
    sign = tmp_path / "started"
    nobody = subprocess.Popen([sys.executable, "-c", "pass"])
    nobody.wait()
    command = bound_to_parent([sys.executable, "-c", f"open({str(sign)!r}, 'w')"])
    orphan = [str(nobody.pid) if part == str(os.getpid()) else part for part in command]
    refused = subprocess.run(orphan, capture_output=True, check=False, timeout=30)
    assert (refused.returncode, refused.stderr) == (1, b"the parent is gone\n")
    assert not sign.exists()
    assert subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0
    assert sign.exists()


def test_a_program_that_cannot_run_is_named(tmp_path):
    program = tmp_path / "program"
    program.write_text("no program", encoding="utf-8")
    done = subprocess.run(bound_to_parent([str(program)]), capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (1, f"cannot run {program}: Permission denied\n")


def test_an_ended_process_that_nobody_waited_for_is_not_alive(survivors):
    assert is_alive(os.getpid())
    with subprocess.Popen([sys.executable, "-c", "pass"]) as child:
        assert survivors([child.pid]) == []
        assert not is_alive(child.pid)
        assert Path(f"/proc/{child.pid}").exists()
