"""Command stats: what the cache holds and has done."""

from caching_core.cli._options import ConfigFile, Directory, Json
from caching_core.cli._output import FINE, Output
from caching_core.cli._session import Session


def stats(*, directory: Directory = None, config: ConfigFile = None, as_json: Json = False) -> int:
    """Show entries, bytes and bounds of each tier; hits and misses are this command's own process."""
    output = Output(as_json=as_json)
    with Session(directory, config_file=config).manager(only_reads=True) as manager:
        figures = manager.stats().as_dict()
    output.pairs("Cache", figures)
    return FINE
