"""From values to sealed frames and back: serialisers, compression, the envelope, isolation in memory."""

from caching_core.codec._channel import Channel, Current, CurrentValue
from caching_core.codec._codec import Codec, Packed, Payload, Thaw
from caching_core.codec._frame import NEVER, OVERHEAD, UNIT_MS, VERSION_BITS, frame_key_id, frame_nonce, units
from caching_core.codec._isolation import isolate
from caching_core.codec._kinds import CompressorId, Flag, Refusal, Refused, SerializerId
from caching_core.codec._opened import Opened
from caching_core.codec._pickle import PickleSerializer, ValueNotPickled
from caching_core.codec._serializer import BaseSerializer

__all__ = [
    "NEVER",
    "OVERHEAD",
    "UNIT_MS",
    "VERSION_BITS",
    "BaseSerializer",
    "Channel",
    "Codec",
    "CompressorId",
    "Current",
    "CurrentValue",
    "Flag",
    "Opened",
    "Packed",
    "Payload",
    "PickleSerializer",
    "Refusal",
    "Refused",
    "SerializerId",
    "Thaw",
    "ValueNotPickled",
    "frame_key_id",
    "frame_nonce",
    "isolate",
    "units",
]
