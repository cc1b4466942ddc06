"""The Django site for ASGI servers: ``uvicorn example_project.web.asgi:application``."""

import os

from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.web.settings")
application = get_asgi_application()
if settings.DEBUG:  # elsewhere a web server serves the files
    application = ASGIStaticFilesHandler(application)
