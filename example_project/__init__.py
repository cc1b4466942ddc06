"""A music catalogue of several labels: a Django site, a FastAPI application and a Celery application over one cache."""
