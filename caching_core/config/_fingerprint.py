"""One digest per configuration: managers of a process with equal digests share their state."""

import hashlib
import json
from collections.abc import Mapping
from typing import cast

from caching_core.config._group import Group
from caching_core.config._model import CacheConfig
from caching_core.config._secret import Secret
from caching_core.types import UNSET


def fingerprint(config: CacheConfig, *, environ: Mapping[str, str] | None = None) -> str:
    """Return the digest of all settings, with the directory resolved and secrets as hashes.

    Stable between processes and runs. A weak passphrase could be guessed from it: not for logs.
    """
    plain = {**_group(config), "directory": str(config.resolved_directory(environ))}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), default=_leaf)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, person=b"cc-config-v1").hexdigest()


def _group(group: Group) -> dict[str, object]:
    return {name: _plain(getattr(group, name)) for name in type(group).model_fields}


def _plain(value: object) -> object:
    if isinstance(value, Group):
        return _group(value)
    if isinstance(value, Mapping):
        # As pairs: the order of policies decides which one counts.
        return [[key, _plain(item)] for key, item in cast("Mapping[object, object]", value).items()]
    if isinstance(value, tuple):
        return [_plain(item) for item in cast("tuple[object, ...]", value)]
    return value


def _leaf(value: object) -> object:
    if isinstance(value, Secret):
        return {"secret": value.digest()}
    return {"unset": True} if value is UNSET else str(value)
