"""Physical names: where an entry of a tenant, a namespace and a key stands in a store.

    cc:{<tenant>}:<namespace>:<key>

A tenant id holds no brace. A namespace has all but letters, digits and ``. _ @ -`` escaped as
``%XX``, so it holds no colon and no tilde, and never starts with the ``@`` of the cache's own names.
The key comes last. Where it is unsafe or long, ``~`` and a keyed hash of namespace and key stand for
it; a key that itself starts with ``~`` counts as unsafe. So no two entries share a name.
"""

import hashlib
import re
from typing import Final
from urllib.parse import unquote

PREFIX: Final = "cc:"
MAX_PLAIN: Final = 200

_HASH_BYTES: Final = 16
_MAX_PLAIN_NAMESPACE: Final = 120
# Printable ASCII without space, backslash and braces, not beginning with a tilde: what stands in a name as it is.
is_plain_key: Final = re.compile(r"[!-\[\]-z|][!-\[\]-z|~]{0,199}").fullmatch
_UNSAFE_BYTE: Final = re.compile(rb"[^A-Za-z0-9._@-]")


class NameScheme:
    """The names of one tenant and namespace, both checked before. Immutable and thread-safe.

    ``name_key`` is the tenant's key for names (at most 64 bytes; empty: unkeyed, without security).
    """

    __slots__ = ("_key_state", "_tag_state", "is_hashed", "prefix")

    def __init__(self, tenant: str, namespace: str, name_key: bytes, *, hashed: bool) -> None:
        self.is_hashed = hashed
        space = namespace.encode()
        self._key_state = hashlib.blake2b(len(space).to_bytes(4) + space, digest_size=_HASH_BYTES, key=name_key, person=b"cc-name-v1")
        # Tags belong to the tenant, whatever the namespace.
        self._tag_state = hashlib.blake2b(digest_size=_HASH_BYTES, key=name_key, person=b"cc-tag-v1")
        self.prefix = f"{tenant_prefix(tenant)}{_namespace_part(namespace, name_key)}:"

    def of(self, key: str) -> tuple[str, bool]:
        """Return the name of a checked key, and whether the key has to be kept with the entry since its name hides it."""
        if not self.is_hashed and is_plain_key(key) is not None:
            return self.prefix + key, False
        return self.hashed(key), True

    def hashed(self, key: str) -> str:
        """Return the name that hides the key: that of ``high`` entries, whatever the scheme."""
        state = self._key_state.copy()
        state.update(key.encode())
        return f"{self.prefix}~{state.hexdigest()}"

    def key_of(self, name: str) -> str | None:
        """Return the key that stands in a name of this scheme; None if the name hides it or is another's."""
        if not name.startswith(self.prefix):
            return None
        key = name[len(self.prefix) :]
        return None if key.startswith("~") or not key else key

    def tag(self, tag: str) -> str:
        """Return the text that stands for a checked tag in ledger and log."""
        return self.hashed_tag(tag) if self.is_hashed or tag[0] == "~" else tag

    def hashed_tag(self, tag: str) -> str:
        """Return the text that hides a tag: as of ``tag`` in a hashed scheme."""
        state = self._tag_state.copy()
        state.update(tag.encode())
        return f"~{state.hexdigest()}"


def physical_name(tenant: str, namespace: str, key: str, *, name_key: bytes) -> str:
    """Return the name of one entry; for more than one, keep a ``NameScheme``."""
    return NameScheme(tenant, namespace, name_key, hashed=False).of(key)[0]


def tenant_prefix(tenant: str) -> str:
    """Return what all names of a tenant begin with, and no name of another."""
    return f"{PREFIX}{{{tenant}}}:"


def namespace_prefix(tenant: str, beginning: str) -> str:
    """Return what the names of all entries begin with whose namespace begins so and stands in them in clear."""
    return tenant_prefix(tenant) + _escaped(beginning)


def namespace_in(name: str, tenant: str) -> tuple[str | None, str]:
    """Return the namespace of a tenant's name, None where it is hidden or the cache's own; and what all its names sort before."""
    prefix = tenant_prefix(tenant)
    part = name[len(prefix) :].partition(":")[0]
    return None if part[:1] in {"~", "@"} else unquote(part), f"{prefix}{part};"


def _escaped(namespace: str) -> str:
    return _UNSAFE_BYTE.sub(lambda found: b"%%%02X" % found.group()[0], namespace.encode()).decode("ascii")


def _namespace_part(namespace: str, name_key: bytes) -> str:
    escaped = _escaped(namespace)
    if len(escaped) <= _MAX_PLAIN_NAMESPACE:
        return escaped
    return "~" + hashlib.blake2b(namespace.encode(), digest_size=_HASH_BYTES, key=name_key, person=b"cc-space-v1").hexdigest()
