"""What ``import caching_core`` brings into a process."""

import json
import subprocess
import sys

import pytest

FORBIDDEN = {"numpy", "pandas", "sklearn", "redis", "hiredis", "httpx", "prometheus_client", "django", "fastapi", "starlette", "celery"}
ON_USE = {"typer", "rich"}
PROBE = "import json, sys; import caching_core; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"


@pytest.fixture(scope="module")
def loaded(checkout) -> set[str]:
    done = subprocess.run([sys.executable, "-c", PROBE], cwd=checkout, capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stdout))


def test_no_heavy_or_framework_module_is_loaded(loaded):
    assert loaded & (FORBIDDEN | ON_USE) == set()


def test_the_probe_sees_modules(loaded):
    assert "caching_core" in loaded
    assert "json" in loaded


def test_importing_starts_no_thread(checkout):
    probe = "import threading, caching_core; print(threading.active_count())"
    done = subprocess.run([sys.executable, "-c", probe], cwd=checkout, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "1"
