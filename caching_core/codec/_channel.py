"""A tenant's namespace as a channel: values are sealed into frames for one key, and opened again only there."""

import os
from struct import error as struct_error
from typing import Any, Final
from zlib import crc32

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from caching_core.codec._codec import UNDECODABLE, Codec, Packed
from caching_core.codec._frame import (
    HEADER,
    LARGEST_META,
    LAYOUT,
    META_PREFIX,
    NEVER,
    OVERHEAD,
    PLAIN,
    READING,
    SEALED,
    STORED,
    TAG,
    UNIT_MS,
    VERSION_BITS,
    frame_key_id,
    frame_nonce,
    units,
    why_not_ours,
)
from caching_core.codec._kinds import CompressorId, Flag, Refusal, Refused, SerializerId
from caching_core.codec._meta import Meta, pack_meta, unpack_meta
from caching_core.codec._opened import Opened, new_opened
from caching_core.codec._plain import PlainBatch
from caching_core.crypto import Random, TenantKeys
from caching_core.errors import KeyInvalid, ValueNotKept, ValueTooLarge

_FLAGS: Final = int(Flag.NEGATIVE | Flag.HTTP | Flag.STALE_IF_ERROR | Flag.HIGH)
_HIGH: Final = int(Flag.HIGH)
_OTHER_FLAGS: Final = ~_FLAGS
_READABLE: Final = frozenset(map(int, (SerializerId.BYTES, SerializerId.MSGPACK, SerializerId.JSON, SerializerId.INT, SerializerId.USER)))
_PICKLE: Final = int(SerializerId.PICKLE)
_COMPRESSORS: Final = frozenset(map(int, CompressorId))
_MOST_METAS: Final = 64
_HEADER: Final = slice(1, 1 + HEADER)
_SEALED: Final = slice(1 + HEADER, None)
_LARGE: Final = 4096
_USUAL: Final = SEALED << 32 | int(SerializerId.MSGPACK) << 8
_MOST_COST: Final = 0xFFFFFFFF
_LONGEST_MS: Final = NEVER * UNIT_MS
_LENGTHS: Final = tuple(length.to_bytes(4) for length in range(256))


CurrentValue = tuple[Any, bytes | memoryview, int, int | None]  # value, raw, version_no, soft (else hard) limit in ms


class Current:
    """What an entry without tags must be of to be good: ``epoch``, and ``seq`` or later.

    ``usual`` is how the body of the one begins that was met last, its metadata, and where the rest stands.
    """

    __slots__ = ("epoch", "seq", "usual")

    def __init__(self, epoch: bytes, seq: int) -> None:
        """Know no metadata yet."""
        self.epoch = epoch
        self.seq = seq
        self.usual = (bytes(META_PREFIX), slice(0))  # no body that was sealed begins like this


class Channel:
    """Seals and opens frames of one tenant and namespace. Immutable but for what it remembers; thread-safe.

    Without keys the frames are plain: readable by everybody, guarded against accidents by a CRC32 only.
    """

    __slots__ = (
        "_bound", "_codec", "_hook", "_keys", "_largest", "_metas", "_plain_batch", "_readable", "_sealed_metas", "_smallest", "_unpack",
        "namespace", "tenant",
    )  # fmt: skip

    def __init__(self, tenant: str, namespace: str, keys: TenantKeys | None, codec: Codec, *, random: Random = os.urandom) -> None:
        """Bind tenant and namespace into every frame."""
        self.tenant = tenant
        self.namespace = namespace
        self._keys = keys
        self._codec = codec
        self._plain_batch = PlainBatch(random)
        self._bound = _prefixed(tenant) + _prefixed(namespace)
        self._largest = OVERHEAD + META_PREFIX + LARGEST_META + codec.max_value_bytes
        self._smallest = codec.compressor.smallest
        # Who may write to the store writes plain frames as well as we do: a pickle is read only where a seal says who made it.
        self._readable = _READABLE | {_PICKLE} if keys is not None and codec.reads_pickle else _READABLE
        self._unpack, self._hook = codec.unpack_with_hook
        self._metas: dict[bytes, Meta] = {}
        self._sealed_metas: dict[tuple[bytes, int, tuple[str, ...]], bytes] = {}

    def seal(
        self,
        key: str,
        packed: Packed,
        *,
        created_ms: int,
        soft_ms: int | None,
        hard_ms: int | None,
        version_no: int,
        epoch: bytes,
        seq: int,
        tags: tuple[str, ...] = (),
        cost_ms: int = 0,
        flags: int = 0,
        stored_key: bool = False,
    ) -> bytes:
        """Return the frame of ``packed`` under ``key``.

        ``soft_ms`` and ``hard_ms`` are lifetimes from ``created_ms``, rounded down to 10 ms; None, and more
        than 497 days, is for ever. ``stored_key`` puts the key inside, where its stored name is hashed.
        """
        raw = packed.raw
        raw_len = len(raw)
        if raw_len < self._smallest or flags & _HIGH:
            compressor, payload = 0, raw
        else:
            compressor, payload = self._codec.compressor.compress(raw)
        if flags & _OTHER_FLAGS:
            raise ValueError(f"flags {flags:#x} hold bits that no frame may have")
        if packed.schema is None and packed.user is None and not stored_key:
            meta = self._sealed_metas.get((epoch, seq, tags)) or self._pack_shared(epoch, seq, tags)
        else:
            meta = _pack_meta(Meta(epoch, seq, tags, packed.schema, packed.user, key if stored_key else None))
        keys = self._keys
        batch = self._plain_batch if keys is None else keys.primary.batch()
        nonce = batch.nonce()
        cost = cost_ms if 0 <= cost_ms < _MOST_COST else _clamped(cost_ms)
        soft = soft_ms // UNIT_MS if soft_ms is not None and 0 <= soft_ms < _LONGEST_MS else units(soft_ms)
        hard = hard_ms // UNIT_MS if hard_ms is not None and 0 <= hard_ms < _LONGEST_MS else units(hard_ms)
        head = _plain_head(packed.serializer) if keys is None else SEALED
        header = LAYOUT.pack(
            head, flags, packed.serializer, compressor, raw_len, cost, created_ms, soft, hard, version_no, batch.names, nonce
        )
        return header + batch.cipher.encrypt(nonce, meta + payload, header + self._bound + _prefixed(key))

    def seal_current(self, key: bytes, packed: tuple[int, bytes], life: tuple[int, int], *, version_no: int, meta: bytes) -> bytes | None:
        """Seal as ``seal`` does what almost all values are: without flags and tags, too short to be compressed.

        ``key`` in UTF-8, at most 255 bytes; ``packed`` serialiser and bytes; ``life`` soft and hard lifetime as they stand
        in the frame (``units``), from the millisecond of ``version_no`` on; ``meta`` from ``meta_of``. None: ask ``seal``.
        """
        keys, (serializer, raw) = self._keys, packed
        if keys is None or len(raw) >= self._smallest or len(key) > 255:
            return None
        batch = keys.primary.batch()
        nonce = batch.nonce()
        header = LAYOUT.pack(
            SEALED, 0, serializer, 0, len(raw), 0, version_no >> VERSION_BITS, life[0], life[1], version_no, batch.names, nonce
        )
        return header + batch.cipher.encrypt(nonce, meta + raw, header + self._bound + _LENGTHS[len(key)] + key)

    def meta_of(self, epoch: bytes, seq: int) -> bytes:
        """Return the metadata of entries without tags that are sealed under this epoch and seq."""
        return self._sealed_metas.get((epoch, seq, ())) or self._pack_shared(epoch, seq, ())

    def open(self, key: str, frame: bytes) -> Opened:
        """Return what the frame holds. Raises Refused, and nothing else, for whatever was not sealed here for ``key``."""
        if len(frame) < OVERHEAD + META_PREFIX:
            raise Refused(Refusal.LENGTH if frame[:2] in (b"\xcc\xe1", b"\xcc\xe0") else Refusal.FOREIGN)
        fields = READING.unpack_from(frame)
        keys = self._keys
        if len(frame) > self._largest:
            raise Refused(Refusal.LENGTH)
        if keys is None or fields[0] != SEALED:
            body = self._open_plain(key, frame, fields[0])
        else:
            names = frame[40:68]
            cipher = keys.opened.recent.get(names) or keys.cipher(names)
            if cipher is None:
                raise Refused(Refusal.UNKNOWN_KEY)
            try:
                body = cipher.decrypt(frame[68:80], frame[HEADER:], frame[:HEADER] + self._bound + _prefixed(key))
            except InvalidTag:
                raise Refused(Refusal.TAG) from None
        return self._read(frame, fields, body)

    def open_current(self, key: bytes, blob: bytes, current: "Current", *, now_ms: int) -> "CurrentValue | None":
        """Open and decode a stored blob (mark byte, then frame) in one go if it is what almost all are.

        That is: fresh, not marked, sealed, msgpack, not compressed, without flags and tags, of the epoch and seq that
        ``current`` asks for, under a key (in UTF-8) of at most 255 bytes. None for everything else, whatever it is: then
        ``open`` tells.
        """
        keys = self._keys
        try:
            mark, head, raw_len, created_ms, soft, hard, version_no, names, nonce = STORED.unpack_from(blob)
            length = _LENGTHS[len(key)]
        except (struct_error, IndexError):
            return None
        limit = soft if soft != NEVER else hard
        ends_ms = None if limit == NEVER else created_ms + limit * UNIT_MS
        if mark or head != _USUAL or keys is None or (ends_ms is not None and ends_ms <= now_ms):
            return None
        cipher = keys.opened.recent.get(names)
        if cipher is None:
            return None
        # A view spares a large value two copies; a small one it would cost more than it saves.
        is_large = len(blob) >= _LARGE
        try:
            body = cipher.decrypt(
                nonce, memoryview(blob)[_SEALED] if is_large else blob[_SEALED], blob[_HEADER] + self._bound + length + key
            )
        except InvalidTag:
            return None
        beginning, rest = current.usual
        if not body.startswith(beginning):
            found = self._rest_of_current(body, current)
            if found is None:
                return None
            rest = found
        raw: bytes | memoryview = memoryview(body)[rest] if is_large else body[rest]
        if len(raw) != raw_len or raw_len > self._codec.max_value_bytes:
            return None
        try:
            return self._unpack(raw, ext_hook=self._hook), raw, version_no, ends_ms
        except UNDECODABLE:
            return None

    def _rest_of_current(self, body: bytes, current: "Current") -> slice | None:
        """Return where the payload stands in a body whose metadata is as ``current`` asks; else None."""
        end = META_PREFIX + (body[0] << 8 | body[1])
        try:
            meta = self._metas.get(body[META_PREFIX:end]) or self._remember(body[META_PREFIX:end])
        except Refused:
            return None
        plain = meta.epoch == current.epoch and meta.seq >= current.seq and not meta.tags
        if not plain or meta.schema is not None or meta.user is not None:
            return None
        rest = slice(end, None)
        if meta.key is None:
            current.usual = (body[:end], rest)
        return rest

    def open_listed(self, frame: bytes) -> tuple[str, Opened]:
        """Return key and content of a frame whose stored name is hashed, so that only the frame knows its key.

        The key is read first and trusted only after the frame has been opened with it.
        """
        if len(frame) < OVERHEAD + META_PREFIX or len(frame) > self._largest:
            raise Refused(Refusal.LENGTH)
        body = self._peek(frame)
        meta = unpack_meta(body[META_PREFIX : META_PREFIX + int.from_bytes(body[:META_PREFIX])])
        if meta.key is None:
            raise Refused(Refusal.METADATA)
        return meta.key, self.open(meta.key, frame)

    def _peek(self, frame: bytes) -> bytes:
        keys = self._keys
        if keys is None:
            return frame[HEADER:-TAG]
        data_key = keys.by_id.get(frame_key_id(frame))
        if data_key is None:
            raise Refused(Refusal.UNKNOWN_KEY)
        # GCM is counter mode from block 2 on; without its tag this proves nothing, and nothing is believed of it.
        counter = frame[68:80] + b"\x00\x00\x00\x02"
        decryptor = Cipher(algorithms.AES(data_key.cipher_key(frame[56:68])), modes.CTR(counter)).decryptor()
        return decryptor.update(frame[HEADER : HEADER + META_PREFIX + LARGEST_META][: len(frame) - OVERHEAD])

    def _open_plain(self, key: str, frame: bytes, head: int) -> bytes:
        if head == SEALED:
            raise Refused(Refusal.UNKNOWN_KEY)
        if head != PLAIN:
            raise why_not_ours(head)
        if self._keys is not None:
            raise Refused(Refusal.DOWNGRADE)
        body = frame[HEADER:-TAG]
        aad = frame[:HEADER] + self._bound + _prefixed(key)
        if frame[-TAG:] != bytes(12) + crc32(body, crc32(aad)).to_bytes(4):
            raise Refused(Refusal.CHECKSUM)
        return body

    def _read(self, frame: bytes, fields: tuple[int, ...], body: bytes) -> Opened:
        _, flags, serializer, compressor, raw_len, cost_ms, created_ms, soft, hard, version_no = fields
        if flags & _OTHER_FLAGS or serializer not in self._readable or compressor:
            self._check_header(flags, serializer, compressor)
        end = META_PREFIX + (body[0] << 8 | body[1])
        packed_meta = body[META_PREFIX:end]
        meta = self._metas.get(packed_meta) or self._remember(packed_meta)
        raw = body[end:]
        if compressor:
            raw = self._codec.compressor.decompress(compressor, raw, raw_len)
        if len(raw) != raw_len or raw_len > self._codec.max_value_bytes or end > len(body):
            raise Refused(Refusal.LENGTH)
        epoch, seq, tags, schema, user, stored_key = meta
        if schema is not None:
            self._codec.check_schema(schema)
        return new_opened(
            Opened,
            (
                raw,
                serializer,
                user,
                schema,
                flags,
                cost_ms,
                created_ms,
                None if soft == NEVER else created_ms + soft * UNIT_MS,
                None if hard == NEVER else created_ms + hard * UNIT_MS,
                version_no,
                epoch,
                seq,
                tags,
                frame_nonce(frame),
                stored_key,
                compressor,
            ),
        )

    def _check_header(self, flags: int, serializer: int, compressor: int) -> None:
        """Refuse what this release does not know; the header is authentic by now."""
        if flags & _OTHER_FLAGS:
            raise Refused(Refusal.FLAGS)
        if serializer not in self._readable:
            raise Refused(Refusal.SERIALIZER)
        if compressor not in _COMPRESSORS:
            raise Refused(Refusal.COMPRESSOR)

    def _pack_shared(self, epoch: bytes, seq: int, tags: tuple[str, ...]) -> bytes:
        """Pack the metadata that entries of one moment share, and remember it."""
        packed = _pack_meta(Meta(epoch, seq, tags, None, None, None))
        if len(self._sealed_metas) >= _MOST_METAS:
            self._sealed_metas.clear()
        self._sealed_metas[epoch, seq, tags] = packed
        return packed

    def _remember(self, packed: bytes) -> Meta:
        meta = unpack_meta(packed)
        if len(self._metas) >= _MOST_METAS:
            self._metas.clear()
        self._metas[packed] = meta
        return meta

    def __repr__(self) -> str:
        """Name tenant and namespace."""
        return f"Channel({self.tenant!r}, {self.namespace!r}, {'plain' if self._keys is None else 'sealed'})"


def _prefixed(text: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise KeyInvalid("a key or name has lone surrogates, which UTF-8 cannot hold; encode it before") from None
    size = len(data)
    return (_LENGTHS[size] if size < 256 else size.to_bytes(4)) + data


def _plain_head(serializer: int) -> int:
    if serializer == _PICKLE:
        raise ValueNotKept("a pickle is stored in a sealed frame or not at all, and security_enabled is false; set pickle to 'off'")
    return PLAIN


def _clamped(cost_ms: int) -> int:
    return _MOST_COST if cost_ms > 0 else 0


def _pack_meta(meta: Meta) -> bytes:
    packed = pack_meta(meta)
    if len(packed) > LARGEST_META:
        raise ValueTooLarge(f"tags and names of an entry take {len(packed)} bytes, more than {LARGEST_META}; use fewer or shorter tags")
    return len(packed).to_bytes(META_PREFIX) + packed
