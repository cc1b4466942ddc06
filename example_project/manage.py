"""Django's command line for the example: ``python -m example_project.manage migrate``."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.web.settings")
    execute_from_command_line(sys.argv)
