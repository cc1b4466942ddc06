"""The one place that says where things are: Django, FastAPI and Celery all read it, so all of them see one cache."""

import os
from pathlib import Path
from typing import Any

LABELS = ("acme", "globex", "initech")
"""The tenants: each label has its own entries, sealed with its own key."""

ARTISTS, ALBUMS, TRACKS = 60, 3, 6
"""What the seed makes: artists of a label, albums of an artist, tracks of an album; numbered from 1, label after label."""

DATA = Path(os.environ.get("CATALOGUE_DATA", Path(__file__).resolve().parent / "data"))
"""Folder of the database, the cache and, without a server, the tasks that wait."""


def cache_settings() -> dict[str, Any]:  # settings are of any type
    """Return the configuration of the cache.

    Memory and disk, unless ``CATALOGUE_REDIS_URL`` names a server: then its shared level is Redis, and
    ``CATALOGUE_ENCRYPTION_KEY`` gives the key that all hosts need (``caching keystore new-key`` makes one).
    """
    settings: dict[str, Any] = {
        "directory": DATA / "cache",
        "tenants": LABELS,
        "l1_max_size": int(os.environ.get("CATALOGUE_L1_MAX_SIZE", "5000")),
    }
    if "CATALOGUE_REDIS_URL" in os.environ:
        settings["redis_url"] = os.environ["CATALOGUE_REDIS_URL"]
        settings["encryption_key"] = os.environ["CATALOGUE_ENCRYPTION_KEY"]
    return settings


def celery_settings() -> dict[str, Any]:  # as above
    """Return the configuration of Celery: ``CATALOGUE_BROKER_URL`` names a server; without one tasks wait in a folder."""
    common = {"broker_connection_retry_on_startup": True, "worker_hijack_root_logger": True, "result_expires": 3600}
    address = os.environ.get("CATALOGUE_BROKER_URL")
    if address:
        return {**common, "broker_url": address, "result_backend": address}
    folders = {name: DATA / "celery" / name for name in ("queue", "control", "results")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    return {
        **common,
        "broker_url": "filesystem://",
        "broker_transport_options": {
            "data_folder_in": str(folders["queue"]),
            "data_folder_out": str(folders["queue"]),
            "control_folder": str(folders["control"]),
        },
        "result_backend": f"file://{folders['results']}",
    }
