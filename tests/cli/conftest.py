import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from caching_core.cli._app import build_app

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ran:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def caching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Run the command line on a cache of this test; with ``fresh`` in a process of its own, as from a shell."""
    for name in [*os.environ]:
        if name.startswith(("CACHING_", "NO_COLOR", "FORCE_COLOR")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CACHING_DIRECTORY", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, env: dict[str, str] | None = None, fresh: bool = False) -> Ran:
        if not fresh:
            result = CliRunner().invoke(build_app(), list(arguments), env=env, prog_name="caching")
            if result.exception is not None and not isinstance(result.exception, SystemExit):
                raise result.exception
            return Ran(result.exit_code, result.stdout, result.stderr)
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", **(env or {})}
        command = [sys.executable, "-m", "caching_core.cli", *arguments]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environ, timeout=600, check=False)
        return Ran(done.returncode, done.stdout, done.stderr)

    return run
