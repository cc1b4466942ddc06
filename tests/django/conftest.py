"""Django in this process, once, and backends on real folders that are closed at the end."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SETTINGS = {
    "SECRET_KEY": "only for tests",
    "INSTALLED_APPS": [
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.admin",
        "caching_django",
    ],
    "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
    "ALLOWED_HOSTS": ["*"],
    "USE_TZ": True,
    "ROOT_URLCONF": ModuleType("urls_of_the_tests"),
    "STATIC_URL": "/static/",
    "MIDDLEWARE": [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    "CACHES": {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}},
}


def pytest_configure() -> None:
    """Configure Django before the tests of this folder are imported."""
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(**SETTINGS)
        django.setup()
        from django.contrib import admin
        from django.urls import path

        settings.ROOT_URLCONF.urlpatterns = [path("admin/", admin.site.urls)]


@pytest.fixture
def backend(tmp_path) -> Callable[..., object]:
    """Make a cache object as Django does: ``backend(TIMEOUT=…, OPTIONS={…})``; all on one folder unless LOCATION says otherwise."""
    from caching_django import TieredCache

    made = []

    def make(**params) -> TieredCache:
        location = params.pop("LOCATION", str(tmp_path / "cache"))
        made.append(TieredCache(location, params))
        return made[-1]

    yield make
    for cache in made:
        cache.shared.manager._close()
        cache.shared.loop_manager._close()


class Project:
    """A Django project of its own in a folder, run by processes of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run ``manage.py`` and return what it printed on both streams."""
        command = [sys.executable, "-W", "error", str(self.folder / "manage.py"), *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=100)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def shell(self, script: str) -> str:
        """Run a script in the project and return what it printed."""
        return self.run("shell", "--no-imports", "-c", script)


@pytest.fixture
def project(tmp_path) -> Callable[..., Project]:
    """Start a project with ``startproject`` and add lines to its settings: ``project("CACHES = …")``."""

    def make(lines: str, **files: str) -> Project:
        folder = tmp_path / "site"
        folder.mkdir()
        subprocess.run([sys.executable, "-m", "django", "startproject", "shop", str(folder)], check=True, timeout=100)
        with (folder / "shop" / "settings.py").open("a", encoding="utf-8") as settings:
            settings.write("\n" + lines)
        for name, text in files.items():
            (folder / f"{name}.py").write_text(text, encoding="utf-8")
        return Project(folder)

    return make
