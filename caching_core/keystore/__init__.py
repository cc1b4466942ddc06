"""Where tenant root keys live, wrapped."""

from caching_core.keystore._private_place import create_file, directory_locked, own_directory, own_file, sync_directory
from caching_core.keystore._process_database import ProcessDatabase
from caching_core.keystore._sqlite import SqliteKeyStore

__all__ = ["ProcessDatabase", "SqliteKeyStore", "create_file", "directory_locked", "own_directory", "own_file", "sync_directory"]
