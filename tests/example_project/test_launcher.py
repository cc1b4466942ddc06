"""Processes of the tour end with their parents, whatever ends the parent."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from example_project.tour._crew import is_alive

# A parent starts a child, the child a grandchild, all through the launcher; each says its id and then waits for ever.
FAMILY = """
import os, signal, subprocess, sys
from example_project.tour._launcher import launched
depth = int(sys.argv[1])
print(os.getpid(), flush=True)
if depth:
    subprocess.Popen(launched([__file__, str(depth - 1)]))
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


def test_a_child_whose_parent_is_gone_already_does_not_start(checkout, tmp_path):
    sign = tmp_path / "started"
    program = ["-c", f"open({str(sign)!r}, 'w')"]
    nobody = subprocess.Popen([sys.executable, "-c", "pass"])
    nobody.wait()
    command = [sys.executable, "-m", "example_project.tour._launcher", str(nobody.pid), *program]
    assert subprocess.run(command, cwd=checkout, capture_output=True, check=False, timeout=30).returncode != 0
    assert not sign.exists()
    command[3] = str(os.getpid())
    assert subprocess.run(command, cwd=checkout, capture_output=True, check=False, timeout=30).returncode == 0
    assert sign.exists()


def test_an_ended_process_that_nobody_waited_for_is_not_alive(survivors):
    assert is_alive(os.getpid())
    with subprocess.Popen([sys.executable, "-c", "pass"]) as child:
        assert survivors([child.pid]) == []
        assert not is_alive(child.pid)
        assert Path(f"/proc/{child.pid}").exists()
