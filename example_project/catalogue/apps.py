"""The Django application: it connects the invalidation when the models are there."""

from django.apps import AppConfig


class CatalogueConfig(AppConfig):  # type: ignore[misc]  # Django ships no annotations
    """The catalogue."""

    name = "example_project.catalogue"
    label = "catalogue"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Let every change of the catalogue reach the cache."""
        from example_project.catalogue.invalidation import connect

        connect()
