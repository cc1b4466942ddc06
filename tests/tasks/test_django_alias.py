"""In a Django project the tasks work on the cache of an alias, found by its name."""

import json
import os
import subprocess
import sys

SETTINGS = """
SECRET_KEY = "only for tests"
INSTALLED_APPS = ["caching_django"]
CACHES = {
    "default": {"BACKEND": "caching_django.TieredCache", "LOCATION": "cache"},
    "other": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}
USE_TZ = True
"""
SCRIPT = """
import json
from celery import Celery
import caching_tasks
import django
from caching_core.errors import ConfigInvalid

def answer(*given):
    app = Celery("shop", broker="memory://", backend="cache+memory://")
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.conf.task_always_eager = True
    caching_tasks.install(app, *given)
    before = cache.manager.stats()
    try:
        figures = app.tasks["caching.optimize"].delay().get()["figures"]
        status = app.tasks["caching.health_check"].delay().get()["status"]
        return [figures["hits_l1"] - before.hits_l1, figures["sets"], status]
    except ConfigInvalid as error:
        return str(error)

django.setup()
from django.core.cache import cache
cache.set("k", 1)
cache.get("k")
print(json.dumps([answer(), answer("default"), answer("other"), answer("nosuch")]))
"""


def test_the_alias_is_the_cache_of_the_tasks(tmp_path, checkout):
    settings = SETTINGS.replace('"cache"', repr(str(tmp_path / "cache")))
    (tmp_path / "shop_settings.py").write_text(settings, encoding="utf-8")
    path = os.pathsep.join(map(str, [tmp_path, checkout, checkout / "tasks", checkout / "integrations" / "django"]))
    environ = {**os.environ, "PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": "shop_settings"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    left_out, named, other, unknown = json.loads(done.stdout)
    assert left_out == named == [0, 1, "ok"]
    assert "'other' of CACHES is not one of caching_django.TieredCache" in other
    assert "CACHES has no alias 'nosuch'" in unknown
