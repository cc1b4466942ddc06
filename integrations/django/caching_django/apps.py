"""The Django application: it registers the checks; models, pages and commands are found by Django itself."""

from django.apps import AppConfig
from django.core.checks import Tags, register


class CachingConfig(AppConfig):  # type: ignore[misc]  # Django ships no annotations
    """The section "Caching"."""

    name = "caching_django"
    label = "caching"
    verbose_name = "Caching"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks."""
        from caching_django._checks import check_aliases, check_tenants

        register(check_aliases, Tags.caches)
        register(check_tenants, Tags.caches)
