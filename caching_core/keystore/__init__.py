"""Where tenant root keys live, wrapped."""

from caching_core.keystore._process_database import ProcessDatabase
from caching_core.keystore._redis import RedisKeyStore
from caching_core.keystore._sqlite import SqliteKeyStore

__all__ = ["ProcessDatabase", "RedisKeyStore", "SqliteKeyStore"]
