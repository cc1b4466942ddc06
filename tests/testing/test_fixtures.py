"""The fixtures as a user of the package has them: loaded as a plug-in, in a project of one's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = 'pytest_plugins = ["caching_core.testing.fixtures"]\n'


@pytest.fixture
def project(checkout, tmp_path):
    """Run pytest over one file of tests; returns its output."""

    def run(tests, conftest=CONFTEST, **variables):
        (tmp_path / "conftest.py").write_text(conftest, encoding="utf-8")
        (tmp_path / "test_it.py").write_text(tests, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-rs", "-W", "error", "-p", "no:cacheprovider", "."]
        environment = {**os.environ, "PYTHONPATH": str(checkout), **variables}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120)
        return done.stdout + done.stderr

    return run


def test_one_server_for_the_session_empty_and_well_for_each_test(project):
    told = project("""
pids = []

def test_leave_data(valkey_server):
    pids.append(valkey_server.pid)
    valkey_server.call("SET", "k", "v")
    pids.append(valkey_server.call("SCRIPT", "LOAD", "return 1"))

def test_empty_and_the_same(valkey_server):
    assert valkey_server.pid == pids[0]
    assert valkey_server.call("DBSIZE") == 0
    assert valkey_server.call("SCRIPT", "EXISTS", pids[1]) == [0]
    valkey_server.pause()

def test_goes_on(valkey_server):
    assert valkey_server.pid == pids[0]
    assert valkey_server.call("PING") == "PONG"
    valkey_server.kill()

def test_is_back(valkey_server):
    assert valkey_server.pid != pids[0]
    assert valkey_server.call("PING") == "PONG"
""")
    assert "4 passed" in told


def test_servers_of_ones_own_end_with_the_test(project, tmp_path):
    told = project("""
from pathlib import Path
from caching_core.embedded import ServerOptions
pids = []

def test_two(valkey_factory):
    one, other = valkey_factory(), valkey_factory(ServerOptions(max_memory=1 << 24, eviction="volatile-ttl"))
    pids.extend([one.pid, other.pid])
    one.pause()
    assert other.call("CONFIG", "GET", "maxmemory-policy")[1] == b"volatile-ttl"
    raise RuntimeError("ended early")

def test_gone(valkey_factory):
    assert len(pids) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
""")
    assert "1 failed, 1 passed" in told
    assert "ended early" in told


def test_options_of_a_project_take_the_place_of_ours(project):
    conftest = (
        CONFTEST
        + """
import pytest
from caching_core.embedded import ServerOptions

@pytest.fixture(scope="session")
def valkey_options():
    return ServerOptions(password="mine")
"""
    )
    assert "1 passed" in project("def test_it(valkey_server):\n    assert valkey_server.password.reveal() == 'mine'\n", conftest)


def test_without_a_server_the_tests_are_skipped_and_say_why(project, tmp_path):
    conftest = CONFTEST + "import caching_core.embedded._binary as binary\nbinary.find_spec = lambda name: None\n"
    told = project("def test_a(valkey_server): pass\ndef test_b(valkey_factory): pass\n", conftest, PATH=str(Path(tmp_path, "nothing")))
    assert "2 skipped" in told
    assert "pip install 'caching-suite[embedded]'" in told
