"""The addresses of the Django site."""

from django.contrib import admin
from django.urls import include, path

from example_project.web.health import healthz

urlpatterns = [
    path("admin/", admin.site.urls),
    path("healthz", healthz),
    path("t/<slug:label>/", include("example_project.catalogue.urls")),
]
