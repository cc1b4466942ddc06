"""The FastAPI application: catalogue reads, sessions and embeddings, all through the cache."""
