"""Signed statements about a log: a checkpoint, its head; and the key that signs them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from caching_core.audit._record import canonical
from caching_core.errors import AuditUnavailable
from caching_core.runtime import directory_locked, own_file, put_in_place

KEY_FILE: Final = "audit.key"
SIGNATURE_BYTES: Final = 64
_DOMAIN: Final = b"caching-core/audit/v1\n"
_LOCK_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Statement:
    """What is signed: log ``log`` has ``count`` records, the last is ``seq`` with hash ``head``.

    ``number`` counts checkpoints (a head carries the number of the last one); ``prev`` is the hash of the
    checkpoint before (in a head: of the last one).
    """

    kind: str
    log: str
    seq: int
    count: int
    head: str
    at_ms: int
    number: int
    prev: str

    def text(self) -> bytes:
        """Return the canonical text."""
        return canonical(
            {
                "v": 1,
                "kind": self.kind,
                "log": self.log,
                "seq": self.seq,
                "count": self.count,
                "head": self.head,
                "ts": self.at_ms,
                "number": self.number,
                "prev": self.prev,
            }
        )

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Read a statement back; ValueError where it is not one."""
        try:
            body = orjson.loads(text)
            return cls(
                kind=str(body["kind"]),
                log=str(body["log"]),
                seq=int(body["seq"]),
                count=int(body["count"]),
                head=str(body["head"]),
                at_ms=int(body["ts"]),
                number=int(body["number"]),
                prev=str(body["prev"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError("not a statement about an audit log") from error


class Signer:
    """The host's signing key: ``audit.key``, PEM, 0600, made on first use by exactly one process."""

    __slots__ = ("_key", "public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """Take the key."""
        self._key = key
        self.public = Verifier(key.public_key())

    def sign(self, text: bytes) -> bytes:
        """Return 64 bytes of Ed25519 over ``text``."""
        return self._key.sign(_DOMAIN + text)

    @classmethod
    def of(cls, directory: Path) -> Self:
        """Read the signing key of ``directory``, making it if there is none."""
        path = directory / KEY_FILE
        if not path.is_symlink() and not path.exists():
            _make_key(path)
        return cls(_read_key(path))

    def __repr__(self) -> str:
        """Show the public half."""
        return f"Signer(public={self.public.hex()})"


class Verifier:
    """The public half of a signing key."""

    __slots__ = ("_key",)

    def __init__(self, key: Ed25519PublicKey) -> None:
        """Take the key."""
        self._key = key

    def accepts(self, text: bytes, signature: bytes) -> bool:
        """Return whether ``signature`` over ``text`` is of this key."""
        try:
            self._key.verify(signature, _DOMAIN + text)
        except InvalidSignature:
            return False
        return True

    def hex(self) -> str:
        """Return the 32 bytes of the key in hexadecimal, to be kept off this host."""
        raw = self._key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return raw.hex()

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """Read what ``hex`` gave; ValueError where it is not a key."""
        return cls(Ed25519PublicKey.from_public_bytes(bytes.fromhex(text)))

    @classmethod
    def of(cls, directory: Path) -> Self | None:
        """Return the public half of the directory's key, or None where there is no readable one."""
        try:
            return cls(_read_key(directory / KEY_FILE).public_key())
        except (OSError, AuditUnavailable):
            return None


def _make_key(path: Path) -> None:
    with directory_locked(path.parent, timeout=_LOCK_SECONDS):
        if path.exists():
            return
        text = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with put_in_place(path) as (_draft, descriptor):
            if os.write(descriptor, text) != len(text):
                raise OSError("the disk took only a part of the signing key")


def _read_key(path: Path) -> Ed25519PrivateKey:
    own_file(path)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except ValueError:
        raise AuditUnavailable(f"the signing key {path} is damaged; restore it from a backup, it has been left as it is") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise AuditUnavailable(f"the signing key {path} is not an Ed25519 key; restore the right one")
    return key
