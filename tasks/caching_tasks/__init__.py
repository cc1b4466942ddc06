"""The cache's background work as Celery tasks: health checks, optimisation, audit reports, and their schedule."""
