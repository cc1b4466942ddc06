"""Command keystore new-key."""

import base64
import secrets

from caching_core.cli._options import Json
from caching_core.cli._output import FINE, Output

_KEY_BYTES = 32


def keystore_new_key(*, as_json: Json = False) -> int:
    """Print a new key: 32 random bytes in base64. It is kept nowhere.

    Put it where the processes of the cache find it: in the variable CACHING_ENCRYPTION_KEYS (the first of a list with
    commas seals, the others still open), as a line of the file that key_file names (mode 0600; the first line seals),
    or in encryption_key (the first of a list seals). Where hosts share a server (redis_url), make one key and put it,
    the same one, on every host: without it none of them starts. Who has it reads the cache; without it nobody does.
    """
    key = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode("ascii")
    output = Output(as_json=as_json)
    if as_json:
        output.data({"key": key})
    output.line(key)
    return FINE
