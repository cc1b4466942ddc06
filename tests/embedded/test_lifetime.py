"""No server is left, whatever ends the process that started it; and none ends before that."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from caching_core.embedded import EmbeddedServer
from caching_core.errors import TierUnavailable
from example_project.tour._crew import is_alive

HOLDER = """
import signal, sys
from caching_core.embedded import EmbeddedServer
server = EmbeddedServer().start()
print(server.pid, server.log_path.parent, flush=True)
{then}
"""
FAMILY = """
import signal, subprocess, sys
from caching_core.runtime import bound_to_parent
child = subprocess.Popen({command})
print(child.pid, flush=True)
signal.pause()
"""


@pytest.fixture
def run(checkout, tmp_path):
    """Start a script, and end it with the test."""
    started = []

    def start(text):
        script = tmp_path / f"script{len(started)}.py"
        script.write_text(text, encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(checkout), "TMPDIR": str(tmp_path)}  # kill -9 leaves a directory
        process = subprocess.Popen(
            [sys.executable, str(script)], cwd=checkout, env=environment, stdout=subprocess.PIPE, text=True, process_group=0
        )
        started.append(process)
        return process

    yield start
    for process in started:
        try:
            os.killpg(process.pid, signal.SIGKILL)  # what it forked, too
        except ProcessLookupError:
            pass
        process.communicate()


def has_ended(pid, seconds=10.0):
    waited = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if not is_alive(pid):
            return True
        waited.wait(0.01)
    return False


def server_of(process):
    pid, folder = process.stdout.readline().split()
    return int(pid), Path(folder)


def test_kill_9_of_the_parent_ends_the_server(run):
    parent = run(HOLDER.format(then="signal.pause()"))
    pid, _ = server_of(parent)
    assert is_alive(pid)
    parent.kill()
    assert has_ended(pid)


def test_kill_9_of_the_grandparent_ends_the_server(run, tmp_path):
    holder = tmp_path / "holder.py"
    holder.write_text(HOLDER.format(then="signal.pause()"), encoding="utf-8")
    grandparent = run(FAMILY.format(command=f"bound_to_parent([sys.executable, {str(holder)!r}])"))
    parent = int(grandparent.stdout.readline())
    pid, _ = server_of(grandparent)
    assert is_alive(parent)
    assert is_alive(pid)
    grandparent.kill()
    assert has_ended(pid)
    assert has_ended(parent)


def test_kill_9_of_a_forked_child_ends_the_server_it_started(run):
    root = run("import os, signal\nif os.fork():\n    signal.pause()\n" + HOLDER.format(then="signal.pause()"))
    pid, _ = server_of(root)
    parent = int(Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()[1])
    assert parent != root.pid
    os.kill(parent, signal.SIGKILL)
    assert has_ended(pid)
    assert root.poll() is None


@pytest.mark.parametrize("then", ["", "raise SystemExit(3)", "import threading; threading.Event().wait(0)"])
def test_the_end_of_the_program_ends_the_server_and_removes_its_directory(run, then):
    parent = run(HOLDER.format(then=then))
    pid, folder = server_of(parent)
    parent.wait(30)
    assert has_ended(pid)
    assert not folder.exists()


def test_an_exit_without_clean_up_ends_the_server(run):
    parent = run(HOLDER.format(then="import os; os._exit(0)"))
    pid, _ = server_of(parent)
    assert has_ended(pid)


def test_the_end_of_the_thread_that_started_it_does_not():
    with EmbeddedServer() as server:
        server.stop()
        thread = threading.Thread(target=server.start)
        thread.start()
        task = Path(f"/proc/{os.getpid()}/task/{thread.native_id}")
        thread.join()
        while task.exists():  # the kernel takes a moment longer than the interpreter
            threading.Event().wait(0.001)
        assert not server._holdings.process.wait(0.2)
        assert server.call("PING") == "PONG"


def test_ctrl_c_on_the_terminal_is_the_applications(run):
    # The terminal sends the signal to the whole foreground group.
    then = """
signal.signal(signal.SIGINT, lambda *_: print(server.call("PING"), flush=True))
print("armed", flush=True)
while True:
    signal.pause()
"""
    parent = run(HOLDER.format(then=then))
    pid, _ = server_of(parent)
    assert os.getpgid(pid) != os.getpgid(parent.pid)
    assert parent.stdout.readline() == "armed\n"
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.stdout.readline() == "PONG\n"
    assert is_alive(pid)


def test_a_forked_child_may_use_the_server_and_cannot_end_it(run):
    then = """
import os, gc
from caching_core.errors import TierUnavailable
child = os.fork()
if child == 0:
    assert server.is_running and server.call("PING") == "PONG"
    server.stop(); server.close()
    for act in (server.start, server.restart, server.kill, server.pause):
        try:
            act()
        except TierUnavailable as problem:
            assert "forked" in str(problem)
        else:
            raise AssertionError(act)
    del act, server; gc.collect()
    sys.exit(0)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), server.call("PING"), flush=True)
"""
    parent = run(HOLDER.format(then=then))
    server_of(parent)
    assert parent.stdout.readline() == "0 PONG\n"


def test_a_directory_is_free_again_although_a_forked_child_lives(run, tmp_path):
    then = f"""
import os
from pathlib import Path
from caching_core.embedded import ServerOptions
options = ServerOptions(directory=Path({str(tmp_path / "data")!r}))
server = EmbeddedServer(options).start()
if os.fork() == 0:
    signal.pause()
server.close()
with EmbeddedServer(options) as again:
    print(again.call("PING"), flush=True)
"""
    parent = run(HOLDER.format(then=then))
    server_of(parent)
    assert parent.stdout.readline() == "PONG\n"


def test_without_a_thread_there_is_no_server(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    server = EmbeddedServer()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(TierUnavailable, match="no thread to start a server from"):
            server.start()
    with server:
        assert server.call("PING") == "PONG"
