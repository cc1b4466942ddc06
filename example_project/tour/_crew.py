"""The supervisor's side: starts the processes of the tour, gives orders, ends them."""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from caching_core.runtime import bound_to_parent

ABSENT = "<absent>"
_PREFIX = "caching-tour-"
_ROOT = Path(__file__).resolve().parents[2]


class CheckFailed(Exception):
    """Something was not as promised; the message says what was seen."""


class CheckSkipped(Exception):
    """What a check needs is not on this machine; the message says what."""


class Member:
    """One worker process, known by its letter."""

    def __init__(self, name: str, folder: Path, directory: Path) -> None:
        self.name = name
        self._log = folder / f"worker-{name}.log"
        with self._log.open("wb") as errors:
            self._process = subprocess.Popen(
                bound_to_parent([sys.executable, "-m", "example_project.tour._worker", "serve", str(directory)]),
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self._unread = b""

    @property
    def pid(self) -> int:
        """The process id; the launcher's exec keeps it."""
        return self._process.pid

    def send(self, do: str, **order: Any) -> None:  # any JSON
        """Give an order without waiting for its answer."""
        if self._process.stdin is None:
            raise CheckFailed(f"worker {self.name} has no input")
        try:
            self._process.stdin.write(json.dumps({"do": do, **order}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise CheckFailed(self._obituary()) from None

    def receive(self, timeout: float = 30.0) -> Any:  # any JSON
        """Return the answer to the oldest order that has none yet."""
        if self._process.stdout is None:
            raise CheckFailed(f"worker {self.name} has no output")
        while b"\n" not in self._unread:
            readable, _, _ = select.select([self._process.stdout], [], [], timeout)
            if not readable:
                raise CheckFailed(f"worker {self.name} gave no answer within {timeout:.0f} s")
            chunk = os.read(self._process.stdout.fileno(), 1 << 16)
            if not chunk:
                raise CheckFailed(self._obituary())
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        answer = json.loads(line)
        if "error" in answer:
            raise CheckFailed(f"worker {self.name}: {answer['error']}")
        return answer["value"]

    def order(self, do: str, **order: Any) -> Any:  # any JSON
        """Give an order and wait for its answer."""
        self.send(do, **order)
        return self.receive()

    def call(self, tenant: str, method: str, *args: Any, **options: Any) -> Any:  # what the handle's method takes and returns
        """Call a method of a tenant's handle in that process."""
        return self.order("call", tenant=tenant, method=method, args=args, options=options)

    def get(self, tenant: str, key: str) -> Any:  # a cached value
        """Read a key there; ``ABSENT`` on a miss."""
        return self.call(tenant, "get", key, default=ABSENT)

    def kill(self) -> None:
        """End the process with SIGKILL, at whatever it does."""
        self._process.kill()
        self._close()

    def hang_up(self) -> None:
        """Close the process's input: it closes its cache and ends."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def dismiss(self) -> None:
        """End the process in order, or by force if it does not within ten seconds."""
        self.hang_up()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._close()

    def _close(self) -> None:
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def _obituary(self) -> str:
        words = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"worker {self.name} ended; its last words: {words[-1] if words else 'none'}"


class Crew:
    """Worker processes over one fresh directory; leaving the context ends them and removes the directory."""

    def __init__(self, size: int) -> None:
        sweep()
        self._folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        self.directory = self._folder / "cache"
        self.members: list[Member] = []
        self._hired = 0
        try:
            for _ in range(size):
                self.hire()
            # They have started when they answer: what is timed later does not count their start.
            self.all("ping", [{}] * size)
        except BaseException:
            self.close()
            raise

    def hire(self) -> Member:
        """Start one more process. Only from the main thread: a child ends with the thread that started it."""
        member = Member("abcdefghijklmnopqrstuvwxyz"[self._hired], self._folder, self.directory)
        self._hired += 1
        self.members.append(member)
        return member

    def leave(self, member: Member, *, killed: bool = False) -> None:
        """End one process."""
        self.members.remove(member)
        if killed:
            member.kill()
        else:
            member.dismiss()

    def scratch(self, name: str) -> Path:
        """Return a path beside the cache directory."""
        return self._folder / name

    def all(self, do: str, orders: Sequence[dict[str, Any]]) -> list[Any]:  # any JSON
        """Give each member its order at once; return the answers in the same order."""
        pairs = list(zip(self.members, orders, strict=False))
        for member, order in pairs:
            member.send(do, **order)
        return [member.receive(timeout=60) for member, _ in pairs]

    def dismiss(self) -> None:
        """End every process; the directory stays."""
        for member in self.members:
            member.hang_up()
        while self.members:
            self.members.pop().dismiss()

    def close(self) -> None:
        """End every process and remove the directory."""
        self.dismiss()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def sweep() -> None:
    """Remove what a killed tour of this user could not remove itself."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = left.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and not is_alive(int(owner)) and left.stat().st_uid == os.getuid():
            shutil.rmtree(left, ignore_errors=True)


def end_in_order() -> None:
    """Have SIGTERM and SIGHUP end the tour as Ctrl-C does, so that it cleans up."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
