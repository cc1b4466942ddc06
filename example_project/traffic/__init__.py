"""Listeners that come, look around and go: ``python -m example_project.traffic --api http://127.0.0.1:8001``."""
