"""Where tenant root keys live, wrapped."""

from caching_core.keystore._private_place import own_directory, own_file
from caching_core.keystore._process_database import ProcessDatabase
from caching_core.keystore._sqlite import SqliteKeyStore

__all__ = ["ProcessDatabase", "SqliteKeyStore", "own_directory", "own_file"]
