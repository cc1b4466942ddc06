"""Settings of the Django site. What concerns the cache is marked."""

import os
import secrets

from example_project.configuration import DATA, cache_settings

DATA.mkdir(parents=True, exist_ok=True)

# A key per start ends all logins with the process; a real site keeps one.
SECRET_KEY = os.environ.get("CATALOGUE_SECRET_KEY") or secrets.token_urlsafe(50)
DEBUG = os.environ.get("CATALOGUE_DEBUG", "1") == "1"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "caching_django",  # the cache: checks, `manage.py cache`, the section "Caching" of the admin
    "example_project.catalogue",
]
MIDDLEWARE = [
    "caching_django.TenantMiddleware",  # the cache: whose a request is, before anything else
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

# The cache: what the labels share with FastAPI and Celery, and the sessions of the site's staff, which are no label's.
CACHES = {
    "default": {"BACKEND": "caching_django.TieredCache", "OPTIONS": cache_settings()},
    "staff": {
        "BACKEND": "caching_django.TieredCache",
        "OPTIONS": {**{name: value for name, value in cache_settings().items() if name != "tenants"}, "TENANT": "staff"},
    },
}
CACHING_TENANTS = {"RESOLVERS": ["path"], "PATH": "/t/{tenant}/", "EXEMPT": ["/admin/", "/static/", "/healthz"]}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
SESSION_CACHE_ALIAS = "staff"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA / "catalogue.sqlite3",
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 10, "init_command": "PRAGMA journal_mode=WAL"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "example_project.web.urls"
ASGI_APPLICATION = "example_project.web.asgi.application"
TEMPLATES = [
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
]
STATIC_URL = "/static/"
USE_TZ = True
TIME_ZONE = "UTC"
