"""One service of the site: started bound to this process, watched, ended in order."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from caching_core.runtime import bound_to_parent
from example_project.tour._crew import CheckFailed

ROOT = Path(__file__).resolve().parents[2]


class Service:
    """A Python program with a log of its own. Start it from the main thread: it ends with the thread that started it."""

    def __init__(self, name: str, arguments: Sequence[str], environ: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as words:
            # In a session of its own: Ctrl-C on the terminal reaches the supervisor alone, which ends the services in order.
            self._process = subprocess.Popen(
                bound_to_parent([sys.executable, "-m", *arguments]),
                cwd=ROOT,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def words(self) -> str:
        """What it has said."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def check(self) -> None:
        """Raise CheckFailed with its last words if it has ended."""
        code = self._process.poll()
        if code is not None:
            last = " | ".join(self.words.strip().splitlines()[-3:])
            raise CheckFailed(f"{self.name} ended with {code}; its last words: {last or 'none'}")

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process.poll() is None:
            self._process.terminate()

    def wait(self, timeout: float = 10.0) -> None:
        """Wait for its end, which comes by force after ``timeout`` seconds."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
