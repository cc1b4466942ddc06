"""What importing the configuration brings into a process."""

import subprocess
import sys

PROBE = """
import sys, types
core = types.ModuleType("caching_core")
core.__path__ = ["caching_core"]
sys.modules["caching_core"] = core
import caching_core.config
print(*sorted({name.partition(".")[0] for name in sys.modules} & set(sys.argv[1:])))
"""


def test_no_loop_and_no_plugin_machinery_is_loaded(checkout):
    unwanted = ["asyncio", "importlib.metadata", "email", "ssl", "socket", "numpy", "redis", "json"]
    done = subprocess.run([sys.executable, "-c", PROBE, *unwanted], cwd=checkout, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["json"]
