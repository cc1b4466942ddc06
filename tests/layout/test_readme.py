"""The README says nothing that a reader could not do."""

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
DOCUMENTS = ("README.md", "CONTRIBUTING.md")
MARKETING = re.compile(
    r"\b(blazing|lightning|ultra|powerful|seamless\w*|robust|cutting.edge|world.class|enterprise.grade|effortless\w*|amazing)\b",
    re.IGNORECASE,
)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands() -> list[str]:
    lines = [
        line.partition(" # ")[0].strip()
        for name in DOCUMENTS
        for kind, body in BLOCK.findall(text(name))
        if kind == "bash"
        for line in body.splitlines()
    ]
    return sorted({line for line in lines if line and not line.startswith("#")})


def check_pip(words: list[str]) -> None:
    extras = tomllib.loads(text("pyproject.toml"))["project"]["optional-dependencies"]
    for named in re.findall(r"\[([\w,]+)\]", " ".join(words)):
        assert set(named.split(",")) <= extras.keys()


def check_caching(words: list[str]) -> None:
    subcommands = [word for word in words[1:3] if re.fullmatch(r"[a-z-]+", word)]
    for depth in range(len(subcommands), -1, -1):
        command = [sys.executable, "-m", "caching_core.cli", *subcommands[:depth], "--help"]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "COLUMNS": "200"}
        )
        if done.returncode == 0:
            # At least the first word must be a command; what follows it may be an argument.
            assert depth >= 1, words
            return
    pytest.fail(f"no such command: {shlex.join(words)}")


@pytest.mark.parametrize("command", commands())
def test_the_command_exists(command):
    words = shlex.split(command)
    program = words[0]
    if program.startswith("./"):
        assert os.access(ROOT / program, os.X_OK)
    elif program == "pip":
        check_pip(words)
    elif Path(program).name == "caching":
        check_caching(words)
    else:
        assert program in {"git", "cd", "python3"}


@pytest.mark.parametrize("name", [*DOCUMENTS, "CHANGELOG.md"])
def test_the_words_are_plain(name):
    assert MARKETING.findall(text(name)) == []


@pytest.mark.parametrize("name", [*DOCUMENTS, "CHANGELOG.md"])
def test_links_lead_to_files(name):
    assert [target for target in LINK.findall(text(name)) if not (ROOT / target).exists()] == []


def examples() -> list[str]:
    return [body for kind, body in BLOCK.findall(text("README.md")) if kind == "python"]


@pytest.mark.parametrize("number", range(len(examples())))
def test_the_example_runs(number, tmp_path):
    body = examples()[number]
    ast.parse(body)
    script = tmp_path / "example.py"
    script.write_text(body, encoding="utf-8")
    path = os.pathsep.join(map(str, [ROOT, *(ROOT / "integrations").iterdir(), ROOT / "tasks"]))
    environment = {**os.environ, "PYTHONPATH": path, "CACHING_DIRECTORY": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    expected = re.findall(r"print\(.*\)  # (.*)$", body, re.MULTILINE)
    assert expected or "\napp = " in body  # what an application answers is tested with its integration
    assert done.stdout.split("\n")[:-1] == expected
