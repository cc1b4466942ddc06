"""The whole site under this process: Valkey, Django, FastAPI, a Celery worker and beat."""

import base64
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from caching_core.embedded import EmbeddedServer, ServerOptions
from caching_core.errors import TierUnavailable
from example_project.configuration import LABELS
from example_project.tour._client import Client
from example_project.tour._crew import CheckFailed
from example_project.tour._service import ROOT, Service

_READY_SECONDS: Final = 60.0
_PATH: Final = (ROOT, ROOT / "integrations" / "django", ROOT / "integrations" / "fastapi", ROOT / "tasks")


class Site:
    """The services on free loopback ports, over a fresh folder; ``close`` ends them. Made and closed in the main thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = folder / "cache.json"
        self.password = secrets.token_urlsafe(12)
        # One server for the cache, to be killed on the way, and one that carries the tasks; None where no program can be found.
        self.server: EmbeddedServer | None = None
        self._broker: EmbeddedServer | None = None
        self.remark = ""
        self._services: dict[str, Service] = {}
        folder.mkdir()
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        environ = self._environ()
        try:
            # The first writes down what it holds, tenants' keys among it, so that being killed costs it nothing.
            self.server = EmbeddedServer(ServerOptions(durable=True, directory=self.folder / "server")).start()
            self._broker = EmbeddedServer().start()
            environ |= {
                "CATALOGUE_REDIS_URL": self.server.url.reveal(),
                "CATALOGUE_ENCRYPTION_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
                "CATALOGUE_BROKER_URL": self._broker.url.reveal(),
            }
            self.remark = f"the cache on a server at {self.server.address}, tasks on one at {self._broker.address}"
        except TierUnavailable as problem:
            self.remark = f"no Valkey or Redis ({problem}): the cache on disk, tasks in a folder"
        self.environ = environ
        self._write_settings()
        ports = free_ports(2)
        self.django, self.api = (Client(f"http://127.0.0.1:{port}") for port in ports)
        self._prepare()
        for name, application, port in (
            ("django", "example_project.web.asgi:application", ports[0]),
            ("fastapi", "example_project.api.app:app", ports[1]),
        ):
            self._serve(
                name, "uvicorn", application, "--port", str(port), "--log-level", "warning", "--no-access-log", "--no-proxy-headers"
            )
        jobs = ("celery", "-A", "example_project.jobs.app")
        # A memory for 64 entries, so that there is something to recommend; threads, so that no grandchild is left by kill -9.
        few = {"CATALOGUE_L1_MAX_SIZE": "64", "CACHING_LEARNING__MIN_DATA_POINTS": "200"}
        quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        self._serve("worker", *jobs, "worker", "--pool", "threads", "--concurrency", "2", "--loglevel", "INFO", *quiet, **few)
        self._serve("beat", *jobs, "beat", "--schedule", str(self.folder / "beat"), "--pidfile", "", "--loglevel", "INFO")

    def _environ(self) -> dict[str, str]:
        path = [*map(str, _PATH), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("CATALOGUE_", "CACHING_", "DJANGO_"))},
            "PYTHONPATH": os.pathsep.join(path),
            "CATALOGUE_DATA": str(self.folder),
            "CATALOGUE_ADMIN_PASSWORD": self.password,
            "CATALOGUE_SECRET_KEY": secrets.token_urlsafe(50),
            "CACHING_MONITORING__HEALTH_CHECK_INTERVAL": "5",
            # All of this shares one small machine, whose scheduler alone can take the 0.1 s that a server is given otherwise.
            "CACHING_L2__DEADLINE": "1",
        }

    def _write_settings(self) -> None:
        """Write the cache's settings for the command line; they hold a password and a key, so the file is its owner's."""
        settings: dict[str, object] = {"directory": str(self.folder / "cache"), "tenants": LABELS}
        for name in ("redis_url", "encryption_key"):
            if f"CATALOGUE_{name.upper()}" in self.environ:
                settings[name] = self.environ[f"CATALOGUE_{name.upper()}"]
        self.settings.touch(mode=0o600, exist_ok=False)
        self.settings.write_text(json.dumps(settings), encoding="utf-8")

    def _prepare(self) -> None:
        command = [sys.executable, "-m", "example_project.manage", "seed"]
        done = subprocess.run(command, cwd=ROOT, env=self.environ, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode != 0:
            raise CheckFailed(f"the database could not be made: {' | '.join(done.stderr.strip().splitlines()[-3:])}")

    def _serve(self, name: str, *arguments: str, **environ: str) -> None:
        self._services[name] = Service(name, arguments, {**self.environ, **environ}, self.folder)

    def wait(self) -> None:
        """Wait until every service answers. Raises CheckFailed with the last words of one that ends."""
        for client in (self.django, self.api):
            self.wait_until(lambda client=client: answers(client), f"{client.address} answers")
        for name, word in (("worker", " ready."), ("beat", "beat: Starting")):
            self.wait_until(lambda name=name, word=word: word in self._services[name].words, f"the {name} is ready")

    def words(self, name: str) -> str:
        """Return the log of a service."""
        return self._services[name].words

    def check(self) -> None:
        """Raise CheckFailed with the last words of a service that has ended."""
        for service in self._services.values():
            service.check()

    def wait_until(self, condition: Any, what: str, timeout: float = _READY_SECONDS) -> None:  # a function without arguments
        """Wait for something that a service does; CheckFailed after ``timeout`` seconds or if one ends."""
        limit = time.monotonic() + timeout
        while not condition():
            self.check()
            if time.monotonic() > limit:
                raise CheckFailed(f"not within {timeout:.0f} s: {what}")
            time.sleep(0.05)

    def admin(self) -> Client:
        """Return a client that is logged in."""
        client = Client(self.django.address)
        client.submit("/admin/login/", username="admin", password=self.password, next="/admin/")
        return client

    def tasks(self, *orders: tuple[str | None, str]) -> list[Any]:  # JSON
        """Send tasks, each in the name of a label or of none, and return their results."""
        command = [sys.executable, "-m", "example_project.tour._sender", json.dumps(orders)]
        done = subprocess.run(command, cwd=ROOT, env=self.environ, capture_output=True, text=True, check=False, timeout=90)
        if done.returncode != 0:
            raise CheckFailed(f"tasks were not done: {' | '.join(done.stderr.strip().splitlines()[-2:])}")
        results: list[Any] = json.loads(done.stdout)
        return results

    def close(self) -> None:
        """End the services, then the server."""
        for service in self._services.values():
            service.terminate()
        for service in self._services.values():
            service.wait()
        self._services.clear()
        for server in (self.server, self._broker):
            if server is not None:
                server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def answers(client: Client) -> bool:
    """Whether a server answers that it is well."""
    try:
        return client.ask("/healthz")[0] == 200
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that nobody has now, all different."""
    found = [socket.socket() for _ in range(count)]
    try:
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in found]
    finally:
        for each in found:
            each.close()
