"""What a cache over a server keeps on its host: a folder of its own in the directory, done without where it cannot be had."""

import os
import shutil
import subprocess
from base64 import b64encode

import pytest

from caching_core.audit import Status, verify
from caching_core.errors import ConfigInvalid
from caching_core.events import UpkeepFailed
from caching_core.insight import Condition

KEY, OTHER_KEY = b64encode(bytes(range(32))).decode(), b64encode(bytes(32)).decode()


@pytest.fixture
def shared(on_redis, manager):
    """Make a manager of this host over the session's server: ``shared(redis_url=…)``."""
    return lambda **settings: manager(**{**on_redis(), **settings})


# -- one directory, several caches ---------------------------------------------------------------


@pytest.fixture(params=["database", "server", "disk", "keystore"])
def stranger(request, shared, manager, valkey_server, tmp_path):
    """Make a manager with the same directory and another keystore."""

    def make():
        match request.param:
            case "database":
                return shared(redis_url=valkey_server.url.reveal().removesuffix("/0") + "/1")
            case "server":
                return shared(redis_url=request.getfixturevalue("valkey_factory")().url.reveal())
            case "keystore":
                return shared(crypto={"keystore": str(tmp_path / "keys.db")})
            case _:
                return manager(encryption_key=OTHER_KEY)

    return make


def test_who_has_another_keystore_takes_nothing_away(shared, stranger):
    opened = [shared().start(), stranger().start()]
    first, second = opened[0].tenant("first"), opened[1].tenant("second")
    first.set("k", 1)
    second.set("k", 2)
    for each in (*opened, opened[0]):
        each._instance._keep_up()
        assert not each._instance.is_lost
    assert (first.get("k"), second.get("k")) == (1, 2)
    assert first.delete("k").count == 1
    assert (first.get("k"), second.get("k")) == (None, 2)


def test_processes_of_one_server_hear_of_each_other_however_it_is_spelled(shared, valkey_server):
    url = valkey_server.url.reveal()
    one, two = shared(l1_max_age=3600.0), shared(l1_max_age=3600.0, redis_url=url.replace("127.0.0.1", "localhost").removesuffix("/0"))
    one.set("k", 1)
    assert one.get("k") == two.get("k") == 1
    two.delete("k")
    assert one.get("k") is None


def test_one_that_must_not_share_what_stands_is_down_and_says_which_tier(shared, valkey_server, eventually):
    first = shared()
    first.set("k", 1)
    heard = []
    first._instance.hooks.subscribe(heard.append)
    with valkey_server.connect() as connection:
        connection.call("FLUSHALL", "SYNC")
    second = shared(encryption_key=OTHER_KEY)  # begins the keystore anew, under a key that the first does not have
    second.set("k", 2)
    eventually(lambda: first._instance.is_lost)
    memory, server = first.health().tiers
    assert (memory.condition, server.condition, server.tier) == (Condition.UP, Condition.DOWN, "redis")
    assert "another keystore" in server.reason
    eventually(lambda: any(type(event) is UpkeepFailed for event in heard))
    assert {event.tier for event in heard if type(event) is UpkeepFailed} == {"redis"}


def test_the_audit_log_lies_in_the_folder_of_its_own(shared, directory):
    manager = shared()
    manager.clear_all()
    assert manager.flush_audit()
    folder = manager.config.host_directory()
    assert folder.parent == directory
    assert sorted(path.name for path in directory.iterdir()) == [folder.name]
    assert verify(folder).status is Status.GOOD
    assert {stat.st_mode & 0o777 for stat in (directory.stat(), folder.stat())} == {0o700}


# -- no directory --------------------------------------------------------------------------------

ON_FULL_DISK = """
import ctypes, errno, subprocess
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x20000) == 0
subprocess.run(["mount", "--make-rprivate", "/"], check=False)
DIRECTORY.mkdir(parents=True)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(DIRECTORY)], check=True)
notes = []
with SyncCacheManager({"directory": str(DIRECTORY), **ARGUMENTS["settings"]}) as manager:
    say([manager._instance.directory, manager.set("k", 1), manager.get("k"), manager.delete("k").pending, manager.get("k")])
    say([tier.condition for tier in manager.health().tiers])
"""


@pytest.mark.parametrize("sealed", [True, False])
def test_a_full_disk_costs_the_folder_and_not_the_server(sealed, peer, on_redis, tmp_path):
    probe = ["unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size=1m tmpfs {tmp_path}"]
    if os.geteuid() != 0 or shutil.which("unshare") is None or subprocess.run(probe, check=False, capture_output=True).returncode != 0:
        pytest.skip("root: a mount namespace is needed")
    other = peer(ON_FULL_DISK, settings={**on_redis(), "security_enabled": sealed})
    assert other.hear() == [None, True, 1, False, None]
    assert other.hear() == ["up", "up"]
    said = other.end()
    assert "No space left" in said
    assert "going on without it" in said


def test_a_place_where_no_directory_can_be_costs_no_more(shared, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    cache = shared(directory=str(tmp_path / "file" / "cache"))
    assert cache.set("k", 1)
    assert cache.get("k") == 1
    assert [message for message in caplog.messages if "going on without it" in message]


# -- disabled ------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, OTHER_KEY], ids=["no key", "another key"])
@pytest.mark.parametrize("strict", [False, True])
def test_disabled_it_breaks_nothing_whatever_is_wrong(key, strict, shared, tmp_path, caplog):
    shared().set("k", 1)
    disabled = shared(directory=str(tmp_path / "other"), encryption_key=key or [], disabled=True, strict=strict)
    assert disabled.start().get("k", "default") == "default"
    assert disabled.get_or_set("k", lambda: "loaded") == "loaded"
    assert disabled.set("k", 2) is False
    assert disabled.clear_all().pending
    assert [level.condition for level in disabled.health().tiers] == [Condition.UP]
    assert [message for message in caplog.messages if "reaches nobody" in message]


def test_enabled_it_is_told(shared, tmp_path):
    with pytest.raises(ConfigInvalid):
        shared(directory=str(tmp_path / "other"), encryption_key=[]).start()


def test_disabled_it_waits_for_a_server_that_is_away(manager, valkey_factory, eventually):
    server = valkey_factory()
    server.stop()
    cache = manager(redis_url=server.url.reveal(), encryption_key=KEY, disabled=True)
    assert cache.start().get("k", "default") == "default"
    assert cache.delete("k").pending
    server.start()
    eventually(lambda: not cache.delete("k").pending)
