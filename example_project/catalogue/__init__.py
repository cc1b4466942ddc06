"""The catalogue: labels, artists, albums and tracks in the database, and what of them is kept in the cache."""
