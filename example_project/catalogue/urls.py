"""The addresses below a label's own."""

from django.urls import path

from example_project.catalogue import views

app_name = "catalogue"
urlpatterns = [
    path("", views.label_page, name="label"),
    path("artists/<int:artist>/", views.artist_page, name="artist"),
]
