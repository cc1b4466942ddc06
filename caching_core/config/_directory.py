"""Where the state of a host lives when nobody says so."""

from collections.abc import Mapping
from pathlib import Path

from caching_core.errors import ConfigInvalid


def state_directory(directory: Path | None, namespace: str, environ: Mapping[str, str]) -> Path:
    """Return the absolute folder of this host's state; nothing is made."""
    home = environ.get("HOME", "")
    if directory is None and environ.get("CACHING_DIRECTORY"):
        directory = Path(environ["CACHING_DIRECTORY"])
    if directory is not None:
        return _expanded(directory, home).absolute()
    state = Path(environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():  # the XDG rules say to ignore a relative one
        state = _home(home) / ".local" / "state"
    return state / "caching-suite" / namespace


def _expanded(directory: Path, home: str) -> Path:
    parts = directory.parts
    return _home(home).joinpath(*parts[1:]) if parts and parts[0] == "~" else directory


def _home(home: str) -> Path:
    if home.startswith("/"):
        return Path(home)
    try:
        return Path.home()
    except RuntimeError:
        raise ConfigInvalid("directory: this user has no home folder; set `directory` or CACHING_DIRECTORY") from None
