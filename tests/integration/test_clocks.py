"""Clocks that jump: lifetimes are counted by clocks that nobody steps."""

import shutil
import subprocess
import sys

import pytest

JUMPING = """
class Wall:
    offset = 0.0

real, real_ns = time.time, time.time_ns
time.time = lambda: real() + Wall.offset
time.time_ns = lambda: real_ns() + int(Wall.offset * 1e9)

Wall.offset = ARGUMENTS["at start"]
manager = SyncCacheManager({"directory": str(DIRECTORY)}).start()
cache = manager.tenant("acme")
say("ready")
while (asked := hear()):
    verb, *arguments = asked
    if verb == "jump":
        Wall.offset = arguments[0]
        say(time.time())
    else:
        options = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
        answer = getattr(cache, verb)(*arguments, **options)
        say(answer if not isinstance(answer, Invalidated) else answer.count)
manager.close()
"""


@pytest.mark.parametrize("levels", ["memory", "disk"])
def test_a_step_of_the_wall_clock_changes_no_lifetime(peer, levels, eventually):
    script = JUMPING.replace('"directory"', '"cache_levels": 1, "directory"' if levels == "memory" else '"l1_enabled": False, "directory"')
    jumping = peer(script, **{"at start": 0.0})
    jumping.hear()
    jumping.ask(["set", "k", "value", {"ttl": 500}])
    for jump in (3600.0, -3600.0, 1e8, -1e9, 0.0):
        jumping.ask(["jump", jump])
        assert jumping.ask(["get", "k"]) == "value"
        assert 400 < jumping.ask(["ttl", "k"]) <= 500
        jumping.ask(["set", f"k{jump}", "value", {"ttl": 100}])
        assert 50 < jumping.ask(["ttl", f"k{jump}"]) <= 100
    jumping.ask(["jump", -7200.0])
    jumping.ask(["set", "short", "value", {"ttl": 0.3}])
    eventually(lambda: jumping.ask(["get", "short"]) is None)
    jumping.say(None)
    jumping.end()


def test_processes_whose_wall_clocks_differ_agree(peer, eventually):
    """R40: the store has one clock for all processes of the host."""
    late, early = peer(JUMPING, **{"at start": 7200.0}), peer(JUMPING, **{"at start": -7200.0})
    late.hear()
    early.hear()
    for writer, reader in ((late, early), (early, late)):
        for number in range(5):
            writer.ask(["set", "k", number, {"ttl": 300}])
            assert reader.ask(["get", "k"]) == number
            assert 200 < reader.ask(["ttl", "k"]) <= 300
        writer.ask(["delete", "k"])
        assert reader.ask(["get", "k"]) is None
        writer.ask(["set", "short", 1, {"ttl": 0.3}])
        eventually(lambda reader=reader: reader.ask(["get", "short"]) is None)
    for each in (late, early):
        each.say(None)
        each.end()


def test_under_libfaketime(tmp_path):
    if shutil.which("faketime") is None:
        pytest.skip("faketime: not installed")
    script = (
        "import sys; from caching_core import SyncCacheManager\n"
        "cache = SyncCacheManager({'directory': sys.argv[1]}).tenant('acme')\n"
        "cache.set('k', 1, ttl=300)\n"
        "assert cache.get('k') == 1 and 290 < cache.ttl('k') <= 300\n"
    )
    subprocess.run(["faketime", "+400 days", sys.executable, "-c", script, str(tmp_path / "cache")], check=True, timeout=60)
