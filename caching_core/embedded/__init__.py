"""The supervisor of a local Valkey or Redis server: found, started, watched, and never left behind."""

from caching_core.embedded._binary import find_server_binary
from caching_core.embedded._options import Eviction, ServerOptions, TLSFiles
from caching_core.embedded._resp import Connection, Reply
from caching_core.embedded._server import EmbeddedServer

__all__ = ["Connection", "EmbeddedServer", "Eviction", "Reply", "ServerOptions", "TLSFiles", "find_server_binary"]
