"""Starting beside others: what passes is raised and tried again, what is for good means memory only; with real processes."""

import fcntl
import gc
import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from caching_core import SyncCacheManager
from caching_core.errors import TierUnavailable

WRITER = """
import sys
from caching_core import SyncCacheManager
cache = SyncCacheManager({"directory": sys.argv[1]}).tenant("acme")
cache.set("k", "old")
print("set", flush=True)
for line in sys.stdin:
    cache.set("k", line.strip())
    print("set", flush=True)
"""


def open_files():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def writer(directory):
    """Another process that has set "k" to "old", and sets it to what it is told."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", WRITER, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def set_to(value):
        process.stdin.write(value + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "set\n"

    assert process.stdout.readline() == "set\n"
    yield set_to
    process.communicate()


def test_a_stamp_lock_that_is_held_is_raised_and_the_next_start_shares_the_disk(directory, writer):
    manager = SyncCacheManager({"directory": str(directory)})
    holder = os.open(directory / "stamps.lock", os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)
    try:
        with pytest.raises(TierUnavailable, match="continue or end it"):
            manager.start()
    finally:
        os.close(holder)
    with manager:
        assert manager.get("k", tenant_id="acme") == "old"
        writer("new")
        assert manager.get("k", tenant_id="acme") == "new"


def test_nor_does_the_first_use_go_on_alone(directory, writer, monkeypatch):
    monkeypatch.setattr("caching_core.coherence._table._LOCK_SECONDS", 0.05)
    manager = SyncCacheManager({"directory": str(directory)})
    holder = os.open(directory / "stamps.lock", os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)
    try:
        for _ in range(2):
            assert manager.get("k", "missed", tenant_id="acme") == "missed"
            with pytest.raises(TierUnavailable, match="continue or end it"):
                manager.set("k", "alone", tenant_id="acme")
    finally:
        os.close(holder)
    until = time.monotonic() + 20
    while manager.get("k", tenant_id="acme") is None:
        assert time.monotonic() < until
    writer("new")
    assert manager.get("k", tenant_id="acme") == "new"
    manager.close()


def test_what_a_failed_start_opened_is_closed_again(directory, writer, monkeypatch):
    monkeypatch.setattr("caching_core.coherence._table._LOCK_SECONDS", 0.0)
    gc.collect()
    before = open_files()
    holder = os.open(directory / "stamps.lock", os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)
    kept = []  # with their frames: nothing is closed by being collected
    for _ in range(5):
        with pytest.raises(TierUnavailable) as raised:
            SyncCacheManager({"directory": str(directory)}).start()
        kept.append(raised)
    os.close(holder)
    assert open_files() <= before


def test_a_place_where_no_directory_can_be_means_memory_only_said_once(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING), SyncCacheManager({"directory": str(tmp_path / "file" / "cache")}) as manager:
        assert manager.set("k", 1)
        assert manager.get("k") == 1
    assert len([record for record in caplog.records if "memory only" in record.message]) == 1


# -- a full disk -----------------------------------------------------------------------------------

MOUNTING = """
import ctypes, glob, logging, os, subprocess, sys, threading
from pathlib import Path
from caching_core import SyncCacheManager
from caching_core.errors import CacheError
from caching_core.events import TierOpened

logging.disable(logging.CRITICAL)
DIRECTORY = Path(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x20000) == 0
subprocess.run(["mount", "--make-rprivate", "/"], check=False)
DIRECTORY.mkdir(parents=True, exist_ok=True)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs", str(DIRECTORY)], check=True)

def fill():
    with open(DIRECTORY / "ballast", "ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass

def free():
    (DIRECTORY / "ballast").unlink()

def open_cache():
    return SyncCacheManager({"directory": str(DIRECTORY), "audit": {"enabled": False}}).start()

def step(pipe):
    os.write(pipe[1], b"x")

def await_step(pipe):
    assert os.read(pipe[0], 1) == b"x"
"""

NOBODY_BEFORE = """
fill()
manager = open_cache()
assert manager._instance.directory is None
assert manager.set("k", 1) and manager.get("k") == 1
assert manager.delete("k") and manager.get("k") is None
assert not (DIRECTORY / "stamps").exists()
manager.close()
"""

BESIDE_OTHERS = """
to_late, to_early = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    try:
        await_step(to_late)
        late = open_cache()  # stamps stand, a store cannot be made
        assert type(late._instance.blocking.store).__name__ == "LateStore"
        assert late.get("k") is None
        assert late.get_or_set("loaded", lambda: "here") == "here"
        assert late.set("k", 2) is False
        assert late.delete("k") is not None
        opened = threading.Event()
        late._instance.hooks.subscribe(lambda event: opened.set() if type(event) is TierOpened else None)
        step(to_early)
        await_step(to_late)
        assert late.get("k") is None
        assert opened.wait(30)
        assert late.set("from late", 1)
        late.get("from late")
        step(to_early)
        await_step(to_late)
        assert late.get("from late") is None
        late.close()
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)
    os._exit(0)

early = open_cache()
early.set("k", 1)
assert early.get("k") == 1
early.clear_all()  # the next call makes a new file
fill()
step(to_late)
await_step(to_early)
assert early.get("k") is None
free()
step(to_late)
await_step(to_early)
assert early.get("from late") == 1
early.delete("from late")
step(to_late)
assert os.waitpid(pid, 0)[1] == 0
early.close()
"""


WITHOUT_KEYS = """
early = open_cache()
early.set("k", 1)
pid = os.fork()
if pid == 0:
    (DIRECTORY / "keystore.db").unlink()
    fill()
    late = SyncCacheManager({"directory": str(DIRECTORY), "audit": {"enabled": False}, "default_ttl": 5})
    for _ in range(2):
        try:
            late.start()
        except CacheError as error:
            assert type(error).__name__ == "KeyUnavailable", error
        else:
            os._exit(1)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
free()
early.close()
"""

FULL = {"nobody there before": NOBODY_BEFORE, "others there before": BESIDE_OTHERS, "others there, but no keys": WITHOUT_KEYS}


@pytest.mark.parametrize("script", FULL.values(), ids=FULL.keys())
def test_a_disk_that_is_full_at_the_start(directory, script):
    if os.geteuid() != 0 or shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0:
        pytest.skip("root: a mount namespace is needed")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", MOUNTING + script, str(directory)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
