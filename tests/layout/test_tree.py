"""What the repository must hold, and what it must not say."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.+!]+$")
# Put together here, so that this file does not say them either.
ADDRESSES = re.compile("|".join(["py" + r"pi\.org", "registry" + r"\.npm", "index" + "-url", "files.python" + "hosted"]))
MACHINE = re.compile("|".join(["/work" + "/", "/root" + "/", r"/opt" + "/py"]))


def tracked() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listing.returncode != 0:
        pytest.skip("git: this is no git checkout")
    return [path for name in listing.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def pins() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not PIN.match(line)] == []
    names = [canonicalize_name(line.partition("==")[0]) for line in lines]
    assert len(set(names)) == len(names)
    return dict(zip(names, (line.partition("==")[2] for line in lines), strict=True))


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_constraints_pin_every_requirement_of_the_core_and_of_development():
    table = project()
    extras = table["optional-dependencies"]
    of_users = [*extras["django"], *extras["fastapi"], *extras["celery"], *extras["embedded"]]
    needed = [*table["dependencies"], *of_users, *extras["test"], *extras["lint"], *extras["bench"], *extras["demo"]]
    pinned = pins()
    wrong = []
    for requirement in map(Requirement, needed):
        if requirement.name == project()["name"]:
            continue  # our own extras, which are in the list
        version = pinned.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            wrong.append(str(requirement))
    assert wrong == []


def test_constraints_pin_what_the_pinned_ones_need():
    pinned = pins()
    unpinned = set()
    for name in pinned:
        try:
            stated = requires(name) or []
        except ModuleNotFoundError:  # for another version of Python
            continue
        for requirement in map(Requirement, stated):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                unpinned |= {canonicalize_name(requirement.name)} - pinned.keys()
    assert unpinned == set()


def test_the_named_extras_exist():
    assert project()["optional-dependencies"].keys() >= {"django", "fastapi", "celery", "alerts", "embedded", "ml", "demo", "all", "dev"}


@pytest.mark.parametrize("name", ["quickstart", "runtests", ".ci/run"])
def test_scripts_can_be_started(name):
    assert os.access(ROOT / name, os.X_OK)
    assert (ROOT / name).read_text(encoding="utf-8").startswith("#!/usr/bin/env ")


@pytest.mark.parametrize("name", ["quickstart", "runtests"])
def test_scripts_explain_themselves(name):
    done = subprocess.run([sys.executable, name, "--help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert "usage:" in done.stdout


def test_no_file_names_a_registry_or_a_path_of_a_machine():
    telling = {}
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found = [match.group() for pattern in (ADDRESSES, MACHINE) for match in pattern.finditer(text)]
        if found:
            telling[str(path.relative_to(ROOT))] = found[:3]
    assert telling == {}


def test_the_licence_is_whole():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_contributing_is_one_page():
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 60


def test_the_changelog_knows_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "keepachangelog.com" in text
    assert re.search(rf"^## \[(Unreleased|{re.escape(project()['version'])})\]", text, re.MULTILINE)
