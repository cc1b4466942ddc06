"""The application: ``celery -A example_project.jobs.app worker`` and ``… beat``."""

import os

import django
from celery import Celery

import caching_tasks
from example_project.configuration import cache_settings, celery_settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.web.settings")
django.setup()  # the models, which the tasks import

app = Celery("example_project", include=["example_project.jobs.charts"])
app.conf.update(celery_settings())
app.conf.beat_schedule = {"charts": {"task": "charts.refresh_all", "schedule": 60.0, "options": {"expires": 60.0}}}
caching_tasks.install(app, cache_settings())
