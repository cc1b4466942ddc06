"""Django's own cache tests, run against the backend on disk and on Redis by the script of the conformance suites."""

import json
import os
import re
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest

TOTAL = re.compile(r"^TOTAL (\d+) (\{.*\})$", re.MULTILINE)
ALL_TESTS = 390
CULLING = {"test_cull", "test_zero_cull", "test_cull_delete_when_store_empty"}
STAGES = ("cache", "async", "sessions", "template")


@pytest.fixture(scope="session")
def django_tests(shared_dir, tmp_path_factory) -> tuple[Path, Path]:
    """The script, and a folder with the unpacked tests of the Django that is installed; made once and kept between runs."""
    import django

    script = shared_dir / "conformance" / "django_cache" / "run_django_cache.sh"
    if not script.exists():
        pytest.skip("shared: no conformance/django_cache in it")
    state = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    work = Path(state) / "caching-suite" / "conformance"
    work.mkdir(parents=True, exist_ok=True)
    if not (work / f"django-{django.get_version()}" / "tests").is_dir():
        # Built in isolation, since the environment's own setuptools may be too old for it.
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-binary", "django", "--no-deps", "-d", str(work / "dl")]
        done = subprocess.run([*command, f"django=={django.get_version()}"], capture_output=True, text=True, check=False, timeout=250)
        if done.returncode != 0:
            pytest.skip("conformance: the source of Django with its tests cannot be had from the package index")
        subprocess.run(["tar", "xzf", str(work / "dl" / f"django-{django.get_version()}.tar.gz"), "-C", str(work)], check=True, timeout=100)
    return script, work


@pytest.mark.timeout(900)
@pytest.mark.parametrize("tier", ["disk", "redis"])
def test_djangos_own_tests_pass(tier, django_tests, checkout, tmp_path, request):
    script, work = django_tests
    folders = [checkout, checkout / "integrations" / "django"]
    options = {"PICKLE": "trusted", "DIRECTORY": str(tmp_path / "cache")}
    if tier == "redis":
        server = request.getfixturevalue("valkey_server")
        # A deadline that a busy machine does not miss: these tests are of what the cache does while its server answers.
        options |= {"REDIS_URL": server.url.reveal(), "ENCRYPTION_KEY": b64encode(bytes(range(32))).decode(), "L2": {"deadline": 10}}
    results = tmp_path / "results.jsonl"
    variables = {
        **os.environ,
        "PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
        "DCT_BACKEND": "caching_django.TieredCache",
        "DCT_OPTIONS": json.dumps(options),
        "DCT_OTHER": json.dumps({"OPTIONS": {**options, "DIRECTORY": str(tmp_path / "other")}, "KEY_PREFIX": "other"}),
        "DCT_EXCLUDE": "cull,zero_cull",
        "DCT_RESULTS": str(results),
    }
    done = subprocess.run(
        ["bash", str(script), str(work), *STAGES], env=variables, capture_output=True, text=True, check=False, timeout=800
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    bad = {row["id"]: row["detail"] for row in rows if row["status"] not in {"pass", "skip"}}
    assert bad == {}, done.stdout
    assert {row["id"].rpartition(".")[2] for row in rows if row["status"] == "skip"} <= CULLING
    total = TOTAL.search(done.stdout)
    assert total is not None, done.stdout
    assert int(total.group(1)) == len(rows) == ALL_TESTS
