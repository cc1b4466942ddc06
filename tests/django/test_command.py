"""manage.py cache, and projects as a user begins them."""

import json

TWO_LINES = """
INSTALLED_APPS += ["caching_django"]
CACHES = {"default": {"BACKEND": "caching_django.TieredCache", "LOCATION": BASE_DIR / "cache"}}
"""


def test_a_plain_project_with_two_lines_works(project):
    site = project(TWO_LINES)
    assert "no issues" in site.run("check", "--fail-level", "WARNING")
    site.run("check", "--deploy", "--tag", "caches", "--fail-level", "WARNING")
    site.shell("from django.core.cache import cache; cache.set('k', {'a': 1}); cache.set('old', 1, version=2)")
    assert site.shell("from django.core.cache import cache; print(cache.get('k'), cache.get('k'))") == "{'a': 1} {'a': 1}\n"
    assert site.run("cache", "get", "k") == '{"a": 1}\n'
    shown = json.loads(site.run("cache", "inspect", "k", "--json"))
    assert (shown["tenant"], shown["namespace"], shown["level"]) == ("main", "default", "l2")


def test_no_migration_is_asked_for(project):
    site = project(TWO_LINES)
    assert "No changes detected" in site.run("makemigrations", "--check", "--dry-run")
    site.run("migrate", "--verbosity", "0")
    site.run("dumpdata", "--output", "dump.json")


def test_commands_work_on_the_alias(project):
    site = project(
        TWO_LINES + "CACHES['other'] = {**CACHES['default'], 'KEY_PREFIX': 'shop', 'VERSION': 2, 'OPTIONS': {'TENANT': 'site'}}\n"
        "CACHES['memory'] = {'BACKEND': 'django.core.cache.backends.locmem.LocMemCache'}\n"
    )
    site.shell("from django.core.cache import caches; caches['other'].set('k', 'v', 100)")
    assert site.run("cache", "--alias", "other", "get", "k") == "v\n"
    assert "miss" in site.run("cache", "get", "k", code=1)
    assert json.loads(site.run("cache", "--alias", "other", "inspect", "k", "--json"))["namespace"] == "shop@v2"
    assert "cleared tenant site, namespace shop@v2" in site.run("cache", "--alias", "other", "clear", "--yes")
    assert "miss" in site.run("cache", "--alias", "other", "get", "k", code=1)
    assert "0 findings" in site.run("cache", "doctor")
    assert "status: good" in site.run("cache", "audit", "verify")
    assert "no alias 'nobody'" in site.run("cache", "--alias", "nobody", "stats", code=1)
    assert "TieredCache" in site.run("cache", "--alias", "memory", "stats", code=1)
    assert "Usage: manage.py cache get" in site.run("cache", "get", "--help")


def test_wrong_settings_are_told_by_check_and_not_by_a_traceback(project):
    site = project(TWO_LINES + "CACHES['default']['OPTIONS'] = {'L1_MAX_SISE': 10}\n")
    told = site.run("check", code=1)
    assert "caching.E001" in told
    assert "L1_MAX_SIZE" in told
    assert "Traceback" not in told
    assert "Traceback" not in site.run("cache", "stats", code=1)


def test_the_command_can_be_called_from_code(project):
    site = project(TWO_LINES)
    script = """
from django.core.management import call_command
try:
    call_command("cache", "set", "k", "v")
except SystemExit as ended:
    print("ended", ended.code)
"""
    assert site.shell(script) == "set k\nended 0\n"
