"""Where the state of a host lives when nobody says so."""

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from caching_core.errors import ConfigInvalid

_PERSON: Final = b"cc-host-folder"
_DEFAULT_PORT: Final = 6379
_THIS_HOST: Final = frozenset({"localhost", "127.0.0.1", "::1"})


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


def shared_directory(directory: Path, url: str, keystore: str | None) -> Path:
    """Return the folder in ``directory`` for the caches over one server and database whose keys are in one keystore.

    Neither name, password nor TLS play a part, nor how this host is spelled: who shares server and keystore shares the
    folder. Who does not must not: stamps and audit log are under a secret that comes from the keystore.
    """
    name = f"{_server_of(url)}|{keystore or ''}"
    return directory / f"shared-{blake2b(name.encode(), digest_size=4, person=_PERSON).hexdigest()}"


def _server_of(url: str) -> str:
    parts = urlsplit(url)
    path = unquote(parts.path)
    asked = parse_qs(parts.query).get("db", [""])[0]
    if "unix" in parts.scheme:
        return f"{path}/{_number(asked)}"
    host = parts.hostname or "localhost"  # in small letters
    return f"{'localhost' if host in _THIS_HOST else host}:{parts.port or _DEFAULT_PORT}/{_number(asked or path.replace('/', ''))}"


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


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
