"""Start fresh interpreters that import this very package, installed or not."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import caching_core

_TIMEOUT = 600


def ask_module(module: str, task: Mapping[str, object]) -> Any:  # Any: the JSON it prints
    """Run one of our modules in a fresh interpreter, the task on its input, and return the JSON it prints."""
    return ask([sys.executable, "-m", module], task)


def ask(command: list[str], task: Mapping[str, object]) -> Any:  # Any: as above
    """Run a command, the task on its input, and return the JSON of its last line."""
    done = subprocess.run(  # noqa: S603  (this interpreter and our own module or text)
        command, input=json.dumps(task), capture_output=True, text=True, check=False, env=_environment(), timeout=_TIMEOUT
    )
    assert done.returncode == 0, f"a measuring process failed: {done.stderr.strip().splitlines()[-1:]}"
    return json.loads(done.stdout.splitlines()[-1])


def _environment() -> dict[str, str]:
    # The settings of the user's cache must not reach the measured one.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CACHING_")}
    root = str(Path(caching_core.__file__).parent.parent)
    rest = kept.get("PYTHONPATH")
    return {**kept, "PYTHONPATH": f"{root}{os.pathsep}{rest}" if rest else root}
