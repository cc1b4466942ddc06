"""A tour of the cache over several real processes: ``python -m example_project.tour [--check]``."""
