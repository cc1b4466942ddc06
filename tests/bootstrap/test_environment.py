"""The environment that ./quickstart and ./runtests make, on a project that needs nothing from a package index."""

import subprocess

import pytest

from bootstrap import Environment, SetupFailed

# A build backend inside the project: pip fetches nothing for it.
BACKEND = """
import zipfile
from pathlib import Path

def build_editable(folder, config_settings=None, metadata_directory=None):
    if Path("broken").exists():
        raise RuntimeError("this project cannot be built")
    name = "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(Path(folder) / name, "w") as wheel:
        wheel.writestr("tiny.pth", str(Path.cwd()))
        wheel.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\nProvides-Extra: demo\\n")
        wheel.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: tiny\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("tiny-1.dist-info/RECORD", "")
    return name
"""
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n[project]\nname = "tiny"\nversion = "1"\n'


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "backend.py").write_text(BACKEND, encoding="utf-8")
    (folder / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (folder / "constraints.txt").write_text("# none\n", encoding="utf-8")
    (folder / "tiny_module.py").write_text("found = True\n", encoding="utf-8")
    return folder


def test_it_is_made_once_filled_again_when_its_inputs_change_and_repaired(root):
    environment = Environment(root, ".venv")
    assert environment.ensure("demo") is True
    seen = subprocess.run(
        [environment.python, "-c", "import tiny_module; print(tiny_module.found)"], capture_output=True, text=True, check=True
    )
    assert seen.stdout == "True\n"
    assert Environment(root, ".venv").ensure("demo") is False

    (root / "constraints.txt").write_text("# changed\n", encoding="utf-8")
    assert environment.ensure("demo") is True
    assert environment.ensure("demo") is False

    # The interpreter that it was made from is gone, as after an upgrade of the system.
    environment.python.unlink()
    environment.python.symlink_to(root / "gone")
    assert environment.ensure("demo") is True
    assert subprocess.run([environment.python, "-c", "import tiny_module"], check=False).returncode == 0


def test_a_failed_installation_says_what_was_printed_and_is_tried_again(root):
    (root / "broken").touch()
    environment = Environment(root, ".venv-broken")
    with pytest.raises(SetupFailed, match=r"could not install \.\[demo\](?s:.*)this project cannot be built"):
        environment.ensure("demo")
    (root / "broken").unlink()
    assert environment.ensure("demo") is True
