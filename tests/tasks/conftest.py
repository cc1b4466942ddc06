"""A Celery application in a folder of its own, run by real workers and a real beat."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

WORK = """
import json, os
from celery import Celery, signals
import caching_tasks
from caching_core import Actor, SyncCacheManager, current_tenant, use_actor, use_tenant
from caching_core.tenancy import current_actor

FOLDER = os.environ["FOLDER"]
CACHE = {"directory": FOLDER + "/cache", "health_check_interval": 1.0, "tenants": ["acme", "globex"]} | json.loads(os.environ["SHARED"])
app = Celery("work")
app.conf.update(json.loads(os.environ["CELERY"]))
caching_tasks.install(app, CACHE)
manager = SyncCacheManager(CACHE)

def opened(pid="self"):
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
        except OSError:
            pass
    return [target for target in found if target.startswith(FOLDER + "/cache")]

def note(what, value):
    with open(FOLDER + "/notes", "a") as file:
        file.write(json.dumps([what, value]) + "\\n")

@app.task
def write(number):
    tenant, actor = current_tenant(), current_actor()
    manager.set(f"from:{os.getpid()}:{number}", number)
    who = actor and [actor.type, actor.id, list(actor.roles)]
    return [tenant, who, os.getpid(), len(opened()), len(opened(os.getppid()))]

@app.task
def whose():
    return current_tenant()

@app.task
def fail():
    note("failing as", current_tenant())
    raise ValueError("on purpose")

@signals.task_success.connect
def succeeded(sender, result, **_):
    if sender.name.startswith("caching."):
        note(sender.name, result)

@signals.worker_process_init.connect
def begun(**_):
    note("child", [os.getpid(), len([name for name in opened() if name.endswith(".db")])])

if os.environ.get("PRELOAD"):
    manager.set("parents", os.getpid(), tenant_id="acme")
    manager.get("parents", tenant_id="acme")
"""


class Work:
    """The application's folder: its processes, and what they have noted."""

    def __init__(self, folder: Path, celery: dict[str, object], checkout: Path, **environ: str) -> None:
        self.folder = folder
        (folder / "work.py").write_text(WORK, encoding="utf-8")
        path = os.pathsep.join(map(str, [folder, checkout, checkout / "tasks", checkout / "integrations" / "django"]))
        self._environ = {
            **os.environ,
            "PYTHONPATH": path,
            "FOLDER": str(folder),
            "CELERY": json.dumps(celery),
            "SHARED": "{}",
            "C_FORCE_ROOT": "1",
            **environ,
        }
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start ``celery -A work …``; its words go to a file of the folder."""
        log = self.folder / f"{arguments[0]}.log"
        with log.open("w", encoding="utf-8") as words:
            process = subprocess.Popen(
                [sys.executable, "-W", "error::ResourceWarning", "-m", "celery", "-A", "work", *arguments],
                cwd=self.folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self._processes.append(process)
        return process

    def run(self, script: str) -> object:
        """Run a script beside the application and return what it printed as JSON."""
        command = [sys.executable, "-c", "from work import *\n" + script]
        done = subprocess.run(command, cwd=self.folder, env=self._environ, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr + self.words()
        return json.loads(done.stdout)

    def notes(self, what: str) -> list[object]:
        """Return what was noted under a name."""
        try:
            lines = (self.folder / "notes").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [value for name, value in map(json.loads, lines) if name == what]

    def words(self) -> str:
        """Return everything that the processes said."""
        return "\n".join(f"--- {log.name}\n{log.read_text(encoding='utf-8')}" for log in sorted(self.folder.glob("*.log")))

    def end(self) -> None:
        """End every process in order."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            assert process.wait(timeout=20) == 0, self.words()
        self._processes.clear()

    def kill(self) -> None:
        """End what is left by force: a warm worker's children go when it has gone."""
        for process in self._processes:
            process.kill()
            process.wait()


@pytest.fixture
def work(tmp_path, checkout) -> Callable[..., Work]:
    """Make the application on a broker: ``work("filesystem", PRELOAD="1")``, ``work("redis://…")``."""
    made = []

    def make(broker: str, **environ: str) -> Work:
        made.append(
            Work(tmp_path, {**_broker(broker, tmp_path), "worker_prefetch_multiplier": 1, "task_track_started": False}, checkout, **environ)
        )
        return made[-1]

    yield make
    for each in made:
        each.kill()


def _broker(broker: str, folder: Path) -> dict[str, object]:
    if broker != "filesystem":
        return {"broker_url": broker, "result_backend": broker}
    for name in ("queue", "results", "control", "processed"):
        (folder / name).mkdir()
    return {
        "broker_url": "filesystem://",
        "broker_transport_options": {
            "data_folder_in": str(folder / "queue"),
            "data_folder_out": str(folder / "queue"),
            "control_folder": str(folder / "control"),
            "processed_folder": str(folder / "processed"),
            "store_processed": True,
            "polling_interval": 0.1,
        },
        "result_backend": f"file://{folder / 'results'}",
    }
