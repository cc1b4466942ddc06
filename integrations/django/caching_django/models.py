"""Models without a table: they give the admin pages their place in the index, and their permissions a name."""

from typing import Any

from django.db import models

# Any, in this module: Django ships no annotations.


class NothingStored(models.Manager):  # type: ignore[misc]  # Django ships no annotations
    """Finds nothing, without asking the database: there is no table."""

    def get_queryset(self) -> Any:
        """Return no rows."""
        return super().get_queryset().none()


class Cache(models.Model):  # type: ignore[misc]  # Django ships no annotations
    """The page Overview, and what may be done to a cache."""

    objects = NothingStored()

    class Meta:
        """No table, no migration."""

        managed = False
        default_permissions = ("view",)
        permissions = (
            ("purge_cache", "Can invalidate, clear and delete entries"),
            ("manage_keys", "Can manage encryption keys"),
            ("apply_recommendation", "Can apply recommendations"),
        )
        verbose_name = "overview"
        verbose_name_plural = "overview"

    def __str__(self) -> str:
        return "cache"


class Audit(models.Model):  # type: ignore[misc]  # Django ships no annotations
    """The page Audit."""

    objects = NothingStored()

    class Meta:
        """No table, no migration."""

        managed = False
        default_permissions = ("view",)
        verbose_name = "audit"
        verbose_name_plural = "audit"

    def __str__(self) -> str:
        return "audit log"
