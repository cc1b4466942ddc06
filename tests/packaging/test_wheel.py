"""The built wheel: what is in it, and that it works in a clean environment in another folder."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

IMPORT_NAMES = {"caching_core", "caching_django", "caching_fastapi", "caching_tasks"}
NO_NETWORK = re.compile(r"name resolution|Connection refused|Network is unreachable|Max retries exceeded|NewConnectionError")
VARIABLES = {
    **{name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}},
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
}
SMOKE = """
import sys
from pathlib import Path
import caching_core
from caching_core import SyncCacheManager

assert Path(caching_core.__file__).is_relative_to(sys.prefix), caching_core.__file__
assert all(getattr(caching_core, name) is not None for name in caching_core.__all__)
with SyncCacheManager({"directory": sys.argv[1]}) as manager:
    cache = manager.tenant("acme")
    cache.set("k", {"a": [1, 2.5, None]}, ttl=60, tags=["t"])
    assert cache.get("k") == {"a": [1, 2.5, None]}
    cache.invalidate_tags("t")
    assert cache.get("k") is None
print("works")
"""


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], cwd=cwd, env=VARIABLES, capture_output=True, text=True, check=False, timeout=250)


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory) -> Path:
    """The wheel, built from the checkout as it stands."""
    folder = tmp_path_factory.mktemp("wheel")
    done = run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, checkout, cwd=folder)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, checkout, tmp_path_factory) -> Path:
    """The interpreter of a clean environment that has the wheel and what it requires, nothing else."""
    folder = tmp_path_factory.mktemp("clean")
    # Without pip: ours installs into it, so that a Python without ensurepip will do.
    assert run(sys.executable, "-m", "venv", "--without-pip", folder / "env", cwd=folder).returncode == 0
    python = folder / "env" / "bin" / "python"
    done = run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "-c", checkout / "constraints.txt", wheel, cwd=folder)
    if done.returncode != 0 and NO_NETWORK.search(done.stderr):
        pytest.skip("packaging: no package index can be reached")
    assert done.returncode == 0, done.stderr
    return python


def test_the_top_level_is_exactly_the_import_names(wheel, checkout):
    with zipfile.ZipFile(wheel) as archive:
        top = {name.partition("/")[0] for name in archive.namelist()}
    listed = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"][
        "packages"
    ]
    names = {Path(folder).name for folder in listed}
    assert names <= IMPORT_NAMES
    assert {name for name in top if not name.endswith(".dist-info")} == names
    present = {path.parent.name for name in IMPORT_NAMES for path in checkout.glob(f"**/{name}/__init__.py") if not hidden(path, checkout)}
    assert present == names


def hidden(path: Path, checkout: Path) -> bool:
    """Whether a path lies in an environment or another folder that is no part of the tree."""
    return any(part.startswith(".") or part in {"build", "dist"} for part in path.relative_to(checkout).parts)


def test_every_module_and_the_typing_marker_are_in_it(wheel, checkout):
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    modules = {str(path.relative_to(checkout)) for path in (checkout / "caching_core").rglob("*.py")}
    assert modules - inside == set()
    assert "caching_core/py.typed" in inside
    assert [name for name in inside if name.endswith((".pyc", ".so")) or "/tests/" in name] == []


def test_the_metadata_says_what_it_needs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = HeaderParser().parsestr(archive.read(name).decode())
        entry = archive.read(name.replace("METADATA", "entry_points.txt")).decode()
    assert metadata["Name"] == "caching-suite"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert set(metadata.get_all("Provides-Extra")) >= {"django", "fastapi", "celery", "alerts", "embedded", "ml", "demo", "all"}
    assert "caching = caching_core.cli:main" in entry


def test_it_works_from_another_folder(installed, tmp_path):
    script = tmp_path / "smoke.py"
    script.write_text(SMOKE, encoding="utf-8")
    done = run(installed, "-W", "error", script, tmp_path / "cache", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "works\n"


def test_its_command_line_starts(installed, tmp_path):
    done = run(installed.with_name("caching"), "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "replay" in done.stdout


def test_only_what_is_required_came_with_it(installed, tmp_path):
    probe = "from importlib.metadata import distributions; print(*sorted(d.name.lower() for d in distributions()))"
    names = set(run(installed, "-c", probe, cwd=tmp_path).stdout.split())
    assert "caching-suite" in names
    assert names & {"django", "fastapi", "starlette", "celery", "numpy", "pandas", "scikit-learn", "pytest", "httpx"} == set()
