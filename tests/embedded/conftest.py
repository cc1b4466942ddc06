"""What the tests of the embedded server share."""

import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def scripted(tmp_path):
    """Make a program that does what a shell script says, in the place of a server."""

    def make(name: str, body: str) -> Path:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        path.chmod(0o700)
        subprocess.run(["/bin/sh", "-n", path], check=True)
        return path

    return make
