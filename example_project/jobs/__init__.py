"""The Celery application: the cache's own tasks and the charts."""
