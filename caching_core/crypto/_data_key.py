"""Data keys in use: the writer's batch of nonces, the readers' derived ciphers, and what a fork renews."""

import hashlib
import os
import time
import weakref
from collections.abc import Callable, Iterator
from struct import Struct
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from caching_core.crypto._xaes import PREFIX_SIZE, Random, Xaes256Gcm

KEY_ID_SIZE: Final = 16
BATCH_MESSAGES: Final = 1 << 20
BATCH_SECONDS: Final = 600.0

_REST: Final = Struct("12s")


def key_id_of(key: bytes) -> bytes:
    """Return the 16 bytes by which frames name a data key."""
    return hashlib.sha256(b"caching-core/kid/v1" + key).digest()[:KEY_ID_SIZE]


class Batch:
    """What one run of messages shares: key id and nonce prefix as they stand in the frame, and the derived cipher."""

    __slots__ = ("_random", "_rests", "cipher", "left", "names", "until")

    def __init__(self, names: bytes, cipher: AESGCM, left: int, until: float, *, random: Random) -> None:
        """``names`` is key id and nonce prefix; good for ``left`` messages, until ``until`` on the key's clock."""
        self.names = names
        self.cipher = cipher
        self.left = left
        self.until = until
        self._random = random
        self._rests: Iterator[tuple[bytes]] = iter(())

    def nonce(self) -> bytes:
        """Return the 12 random bytes with which a message completes its nonce, never the same ones twice.

        They are drawn 128 at a time: the system call takes as long as sealing a small value. A forked child does not go
        on with its parent's, since it does not go on with its batch.
        """
        for (rest,) in self._rests:
            return rest
        self._rests = _REST.iter_unpack(self._random(128 * _REST.size))
        return self.nonce()


class DataKey:
    """A tenant's data key, ready to seal and to open.

    Thread-safe. Two threads that renew the batch at once make two batches, which is harmless.
    """

    __slots__ = ("__weakref__", "_batch", "_messages", "_now", "_random", "_seconds", "_xaes", "key_id")

    def __init__(
        self,
        key: bytes,
        *,
        random: Random = os.urandom,
        now: Callable[[], float] = time.monotonic,
        batch_messages: int = BATCH_MESSAGES,
        batch_seconds: float = BATCH_SECONDS,
    ) -> None:
        """Take the 32 bytes; they are not kept apart from the cipher."""
        self.key_id = key_id_of(key)
        self._xaes = Xaes256Gcm(key)
        self._random = random
        self._now = now
        self._messages = batch_messages
        self._seconds = batch_seconds
        self._batch = Batch(b"", AESGCM(bytes(32)), 0, 0.0, random=random)  # spent: the first message draws a real one

    def batch(self) -> Batch:
        """Count one message and return the batch that it belongs to."""
        batch = self._batch
        batch.left -= 1
        if batch.left < 0 or batch.until < self._now():
            return self._renewed()
        return batch

    def renew(self) -> None:
        """Let the next message begin a batch with a prefix of its own: a child does not go on with its parent's."""
        self._batch.left = 0

    def cipher(self, prefix: bytes) -> AESGCM:
        """Derive the cipher of a nonce prefix (about 7 us: keep it)."""
        return self._xaes.derive(prefix)

    def cipher_key(self, prefix: bytes) -> bytes:
        """Return the AES key of a nonce prefix, for looking into a frame before it is authenticated."""
        return self._xaes.derive_key(prefix)

    def _renewed(self) -> Batch:
        prefix = self._random(PREFIX_SIZE)
        cipher = self._xaes.derive(prefix)
        self._batch = Batch(self.key_id + prefix, cipher, self._messages - 1, self._now() + self._seconds, random=self._random)
        return self._batch

    def __repr__(self) -> str:
        """Show the id, never the key."""
        return f"DataKey({self.key_id.hex()})"

    def __reduce__(self) -> str:
        """Refuse to leave the process."""
        raise TypeError("a key does not leave its process")


class DerivedCiphers:
    """The ciphers that readers derived, by ``frame[40:68]``: key id and nonce prefix.

    Bounded, least recently used in two generations: a hit in ``recent`` costs one dict lookup and moves
    nothing; when ``recent`` is full it becomes the old generation, and what is met there comes back.
    Thread-safe: a race derives a cipher twice.
    """

    __slots__ = ("_half", "_old", "recent")

    def __init__(self, capacity: int = 256) -> None:
        """Keep at most ``capacity`` ciphers of about 2.5 kB each."""
        self._half = max(1, capacity // 2)
        self._old: dict[bytes, AESGCM] = {}
        self.recent: dict[bytes, AESGCM] = {}

    def __len__(self) -> int:
        """Return how many are held."""
        return len(self.recent) + len(self._old)

    def find(self, names: bytes, key: DataKey) -> AESGCM:
        """Return the cipher of ``names`` under ``key``, deriving it if need be."""
        recent = self.recent.get(names)
        if recent is not None:
            return recent
        cipher = self._old.pop(names, None) or key.cipher(names[KEY_ID_SIZE:])
        if len(self.recent) >= self._half:
            self._old, self.recent = self.recent, {}
        self.recent[names] = cipher
        return cipher

    def forget(self) -> None:
        """Drop all of them."""
        self._old, self.recent = {}, {}

    def __repr__(self) -> str:
        """Show the number only."""
        return f"DerivedCiphers({len(self)})"


class ForkGuard:
    """Renews the batch of every key that it knows in a forked child, so that sealing needs no look at the pid."""

    __slots__ = ("__weakref__", "_keys")

    def __init__(self) -> None:
        """Register with the interpreter, by weak reference: Python cannot take a hook back."""
        self._keys: weakref.WeakSet[DataKey] = weakref.WeakSet()
        seen = weakref.ref(self)

        def renew() -> None:
            guard = seen()
            if guard is not None:
                guard.renew()

        os.register_at_fork(after_in_child=renew)

    def watch(self, key: DataKey) -> None:
        """Renew ``key`` after a fork as long as it lives."""
        self._keys.add(key)

    def renew(self) -> None:
        """Begin new batches everywhere."""
        for key in tuple(self._keys):
            key.renew()
