"""``seed``: make the tables, fill them, and let somebody in."""

import os
import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand

from example_project.catalogue.seed import seed_catalogue

# Any, in this module: Django ships no annotations.


class Command(BaseCommand):  # type: ignore[misc]  # Django ships no annotations
    """Prepares the example; safe to run again."""

    help = "Migrate, fill an empty catalogue, and make the user 'admin' if there is none (password: $CATALOGUE_ADMIN_PASSWORD or random)."

    def handle(self, *_: Any, **__: Any) -> None:
        """Do it, and print the password of a new user once."""
        call_command("migrate", verbosity=0)
        self.stdout.write(f"{seed_catalogue()} tracks")
        users = get_user_model().objects
        if not users.filter(username="admin").exists():
            password = os.environ.get("CATALOGUE_ADMIN_PASSWORD") or secrets.token_urlsafe(12)
            users.create_superuser("admin", password=password)
            if "CATALOGUE_ADMIN_PASSWORD" not in os.environ:
                self.stdout.write(f"user admin, password {password}")
