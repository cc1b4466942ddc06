"""A virtual environment of this checkout: made with what the machine has, filled once, reused while its inputs stay."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path


class SetupFailed(Exception):
    """The environment could not be made or filled; the message says which step, what it printed and what to do."""


class Environment:
    """The environment in ``folder`` of the checkout ``root``.

    ``prefer_uv``: use uv when it is on the PATH; otherwise, and where uv fails, venv, then virtualenv
    (Debian's Python may come without ensurepip) installed into ``root/.tools``.
    """

    def __init__(self, root: Path, folder: str, *, prefer_uv: bool = False) -> None:
        self.root = root
        self.folder = root / folder
        self.python = self.folder / "bin" / "python"
        self._tools = root / ".tools"
        self._uv = shutil.which("uv") if prefer_uv else None
        self._variables = {
            **{name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")},
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INPUT": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
        }

    def ensure(self, extra: str) -> bool:
        """Have the checkout installed editable with ``extra``, constrained; False if it was there already."""
        stamp = self.folder / f".filled-{extra}"
        wanted = self._fingerprint(extra)
        if self.python.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
            return False
        if not self._has_installer():
            self._make()
        self._install(f".[{extra}]")
        stamp.write_text(wanted, encoding="utf-8")
        return True

    def _fingerprint(self, extra: str) -> str:
        digest = hashlib.sha256(f"{extra}\0{sys.version}\0{self.root}\0".encode())
        for name in ("pyproject.toml", "constraints.txt"):
            digest.update((self.root / name).read_bytes())
        return digest.hexdigest()

    def _has_installer(self) -> bool:
        """Whether the environment runs (its Python may be gone) and can install."""
        if not self.python.exists():
            return False
        probe = "pass" if self._uv else "import pip"
        return subprocess.run([str(self.python), "-c", probe], capture_output=True, check=False).returncode == 0

    def _make(self) -> None:
        failures = []
        for way in (self._by_uv, self._by_venv, self._by_virtualenv):
            shutil.rmtree(self.folder, ignore_errors=True)
            failure = way()
            if failure is None and self._has_installer():
                return
            failures.append(f"{way.__name__.removeprefix('_by_')}: {failure or 'no pip in the environment'}")
            self._uv = None
        raise SetupFailed("no virtual environment could be made with " + sys.executable + "\n  " + "\n  ".join(failures))

    def _by_uv(self) -> str | None:
        if self._uv is None:
            return "not on the PATH"
        return self._run("making an environment with uv", [self._uv, "venv", "-q", "--python", sys.executable, str(self.folder)])

    def _by_venv(self) -> str | None:
        return self._run("making an environment with venv", [sys.executable, "-m", "venv", str(self.folder)])

    def _by_virtualenv(self) -> str | None:
        tools = str(self._tools)
        failure = self._run(
            "fetching virtualenv into .tools", [sys.executable, "-m", "pip", "install", "-q", "--upgrade", "--target", tools, "virtualenv"]
        )
        if failure is not None:
            return failure
        command = [sys.executable, "-m", "virtualenv", "-q", str(self.folder)]
        return self._run("making an environment with virtualenv", command, PYTHONPATH=tools)

    def _install(self, requirement: str) -> None:
        constraints = str(self.root / "constraints.txt")
        if self._uv:
            command = [self._uv, "pip", "install", "-q", "--python", str(self.python), "-c", constraints, "-e", requirement]
            if self._run(f"installing {requirement} with uv", command) is None:
                return
            self._uv = None
            self._make()
        command = [str(self.python), "-m", "pip", "install", "-q", "-c", constraints, "-e", requirement]
        failure = self._run(f"installing {requirement}", command)
        if failure is not None:
            raise SetupFailed(f"pip could not install {requirement}; is a package index reachable?\n{failure}")

    def _run(self, what: str, command: list[str], **variables: str) -> str | None:
        """Run one quiet step with a line of progress; return its last words if it failed."""
        live = sys.stderr.isatty()
        begun = time.monotonic()
        if not live:
            sys.stderr.write(f"  {what} …\n")
            sys.stderr.flush()
        # Output goes to a file and not a pipe: a chatty step can never fill it and stop.
        log = self.root / ".tools" / "setup.log"
        log.parent.mkdir(exist_ok=True)
        with (
            log.open("w+b") as output,
            subprocess.Popen(
                command,
                cwd=self.root,
                env={**self._variables, **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            ) as step,
        ):
            code = _wait(step, what, begun, live=live)
        if code == 0:
            return None
        words = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return "\n".join(f"    {line}" for line in words[-12:]) or f"    exit code {code}"


def _wait(step: subprocess.Popen[bytes], what: str, begun: float, *, live: bool) -> int:
    """Wait for ``step``; on a terminal keep a line with the seconds gone by."""
    while True:
        try:
            code = step.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            if live:
                sys.stderr.write(f"\r  {what} … {time.monotonic() - begun:.0f} s ")
                sys.stderr.flush()
            continue
        if live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
        return code
