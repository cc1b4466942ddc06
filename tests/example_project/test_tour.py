"""The tour as a person starts it: every check passes, nothing stays behind."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from example_project.tour._checks import CHECKS
from example_project.tour._crew import CheckFailed, Crew, is_alive
from example_project.tour._site_checks import SITE_CHECKS


@pytest.fixture
def place(checkout, tmp_path) -> dict[str, str]:
    """The environment of a tour whose temporary files lie in the test's own folder."""
    return {**os.environ, "PYTHONPATH": str(checkout), "TMPDIR": str(tmp_path), "COLUMNS": "200", "NO_COLOR": "1"}


def test_the_readme_counts_the_checks(checkout):
    told = re.search(r"a tour of (\d+) checks", (checkout / "README.md").read_text(encoding="utf-8"))
    assert int(told.group(1)) == len(CHECKS) + len(SITE_CHECKS) + 1  # and the traffic


def tour_processes(folder: Path) -> list[int]:
    """Find the processes that were told of ``folder``, by their command line or, as all of a tour are, by their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes() if entry.name.isdigit() else b""
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if str(folder).encode() in told and is_alive(int(entry.name)):
            found.append(int(entry.name))
    return found


def test_every_check_passes_and_nothing_stays_behind(checkout, tmp_path, place):
    command = [sys.executable, "-m", "example_project.tour", "--check"]
    done = subprocess.run(command, cwd=checkout, env=place, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"^(?:PASS|SKIP) .+ - .+\d", done.stdout, re.MULTILINE)) == len(CHECKS) + len(SITE_CHECKS) + 1
    assert len(re.findall(r"^PASS", done.stdout, re.MULTILINE)) >= 18
    assert "FAIL" not in done.stdout
    assert re.search(r" requests, 0 failed, .* hit ratio \d", done.stdout)
    assert list(tmp_path.iterdir()) == []
    assert tour_processes(tmp_path) == []


@pytest.mark.parametrize("way", ["kill", "terminate"])
def test_no_process_survives_the_supervisor(way, checkout, tmp_path, place, survivors):
    after, least = ("PASS Django and FastAPI share", 4) if way == "kill" else ("PASS", 8)
    command = [sys.executable, "-m", "example_project.tour"]
    with subprocess.Popen(command, cwd=checkout, env=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as supervisor:
        try:
            assert any(line.startswith(after) for line in supervisor.stdout)
            others = [pid for pid in tour_processes(tmp_path) if pid != supervisor.pid]
            # Django, FastAPI, worker, beat; and the processes of the core, as long as it is looked at.
            assert len(others) >= least
            getattr(supervisor, way)()
            supervisor.wait(timeout=60)
        finally:
            supervisor.kill()
    assert survivors(others) == []
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
