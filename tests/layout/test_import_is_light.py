"""What ``import caching_core`` brings into a process."""

import json
import subprocess
import sys

import pytest

FORBIDDEN = {"numpy", "pandas", "sklearn", "redis", "hiredis", "httpx", "prometheus_client", "django", "fastapi", "starlette", "celery"}
ON_USE = {"typer", "rich"}
SHOW = "; import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
WAYS = {
    "the package": "import caching_core",
    # Its names are imported on first use: the promise is nothing if the first use breaks it.
    "every public name": "import caching_core; [getattr(caching_core, name) for name in caching_core.__all__]",
}


@pytest.fixture(scope="module", params=WAYS.values(), ids=WAYS.keys())
def loaded(request, checkout) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", request.param + SHOW], cwd=checkout, capture_output=True, text=True, check=True, timeout=60
    )
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
