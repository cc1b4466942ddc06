"""One run of a server program, bound to the life of this process."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from caching_core.errors import DeadlineExceeded, TierUnavailable
from caching_core.runtime import bound_to_parent

_STOPPED_SECONDS: Final = 5.0


class ServerProcess:
    """A running server, and the thread that started it and waits for its end.

    That thread has to stay: the kernel ends a bound child when the thread that started it ends, and the
    caller's may be a short one. Signals may be sent from any thread of the process that made this object.
    """

    def __init__(self, command: Sequence[str], config: bytes, *, directory: Path, log: Path) -> None:
        self._popen: subprocess.Popen[bytes] | None = None
        self._problem: OSError | None = None
        self._begun = threading.Event()
        self._ended = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(command, config, directory, log), name="caching-server-keeper", daemon=True)
        try:
            keeper.start()
        except RuntimeError as problem:
            raise TierUnavailable(f"no thread to start a server from: {problem}") from problem
        self._begun.wait()
        if self._problem is not None:
            raise TierUnavailable(f"cannot start {command[0]}: {self._problem}") from self._problem

    @property
    def pid(self) -> int:
        """The process id of the server; the launcher's exec keeps it."""
        return self._popen.pid if self._popen is not None else 0

    @property
    def exit_code(self) -> int | None:
        """How it ended, negative for a signal; None while it runs."""
        return self._popen.returncode if self._popen is not None else None

    def wait(self, timeout: float) -> bool:
        """Wait for the end; True if it has ended."""
        return self._ended.wait(timeout)

    def end(self, timeout: float) -> None:
        """Have the server shut down in order, or by force if it does not in time."""
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        if not self.wait(timeout):
            self.kill()

    def kill(self) -> None:
        """End the server at whatever it does."""
        self.send(signal.SIGKILL)
        self._ended.wait()

    def pause(self) -> None:
        """Stop the server as a debugger would, and return when it stands still."""
        self.send(signal.SIGSTOP)
        limit = time.monotonic() + _STOPPED_SECONDS
        while self._state() not in {"T", "t"}:
            if self.wait(0.001):
                raise TierUnavailable(f"the server with process id {self.pid} has ended; start it again before it is paused")
            if time.monotonic() > limit:
                raise DeadlineExceeded(f"the server with process id {self.pid} did not stop within {_STOPPED_SECONDS:g} s")

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if the server has ended."""
        if self._popen is not None:
            self._popen.send_signal(number)

    def _state(self) -> str:
        try:
            return Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(") ")[2][:1]
        except OSError:
            return ""

    def _keep(self, command: Sequence[str], config: bytes, directory: Path, log: Path) -> None:
        try:
            with self._spawn(command, directory, log) as popen:
                self._popen = popen
                self._begun.set()
                # A program that has ended already reads nothing; the one who waits for its end tells why.
                popen.communicate(config)
        except OSError as problem:
            self._problem = problem
        finally:
            self._begun.set()
            self._ended.set()

    @staticmethod
    def _spawn(command: Sequence[str], directory: Path, log: Path) -> subprocess.Popen[bytes]:
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            return subprocess.Popen(  # noqa: S603 - a program that find_server_binary returned, no shell
                bound_to_parent(command),
                cwd=directory,
                stdin=subprocess.PIPE,
                stdout=descriptor,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C on a terminal is the application's; the server ends when that says so
            )
        finally:
            os.close(descriptor)
