"""The addresses of the Django site."""

from django.contrib import admin
from django.http import HttpResponse
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("healthz", lambda _request: HttpResponse("ok")),
    path("t/<slug:label>/", include("example_project.catalogue.urls")),
]
