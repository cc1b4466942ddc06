"""The tour as a person starts it: every check passes, nothing stays behind."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from example_project.tour._checks import CHECKS
from example_project.tour._crew import CheckFailed, Crew, is_alive


@pytest.fixture
def place(checkout, tmp_path) -> dict[str, str]:
    """The environment of a tour whose temporary files lie in the test's own folder."""
    return {**os.environ, "PYTHONPATH": str(checkout), "TMPDIR": str(tmp_path), "COLUMNS": "200", "NO_COLOR": "1"}


def tour_processes(folder: Path) -> list[int]:
    """Find the processes that have ``folder`` in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if str(folder).encode() in words and is_alive(int(entry.name)):
            found.append(int(entry.name))
    return found


def test_every_check_passes_and_nothing_stays_behind(checkout, tmp_path, place):
    command = [sys.executable, "-m", "example_project.tour", "--check"]
    done = subprocess.run(command, cwd=checkout, env=place, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"^PASS .+ - .+\d", done.stdout, re.MULTILINE)) == len(CHECKS) >= 6
    assert "FAIL" not in done.stdout
    assert re.search(r"hit ratio \d", done.stdout)
    assert list(tmp_path.iterdir()) == []
    assert tour_processes(tmp_path) == []


@pytest.mark.parametrize("way", ["kill", "terminate"])
def test_no_process_survives_the_supervisor(way, checkout, tmp_path, place, survivors):
    command = [sys.executable, "-m", "example_project.tour"]
    with subprocess.Popen(command, cwd=checkout, env=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as supervisor:
        try:
            for line in supervisor.stdout:
                if line.startswith("PASS"):
                    break
            workers = tour_processes(tmp_path)
            assert len(workers) >= 4
            getattr(supervisor, way)()
            supervisor.wait(timeout=60)
        finally:
            supervisor.kill()
    assert survivors(workers) == []
    if way == "terminate":
        assert list(tmp_path.iterdir()) == []


def test_the_next_tour_removes_what_a_killed_one_left(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()
    left = tmp_path / f"caching-tour-{ended.pid}-x"
    ours = tmp_path / f"caching-tour-{os.getpid()}-y"
    other = tmp_path / "caching-tour-notes-1"
    for folder in (left, ours, other):
        folder.mkdir()
    with Crew(0):
        assert not left.exists()
        assert ours.exists()
        assert other.exists()


def test_a_worker_that_dies_is_a_finding_and_not_a_hang(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Crew(1) as crew:
        (member,) = crew.members
        assert member.get("acme", "nothing") == "<absent>"
        os.kill(member.pid, 9)
        with pytest.raises(CheckFailed, match="worker a ended"):
            member.get("acme", "nothing")


def test_an_error_in_a_worker_is_a_finding(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Crew(1) as crew, pytest.raises(CheckFailed, match="TTLInvalid"):
        crew.members[0].call("acme", "set", "k", 1, ttl=-1)
