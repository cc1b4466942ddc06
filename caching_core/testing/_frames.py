"""Names, tokens and frames that the tests of a contract act on."""

NAME = "cc:{acme:default:user:1}:v"
OTHER = "cc:{acme:default:user:2}:v"
TOKEN = b"t" * 16
THEIRS = b"u" * 16
FRESH = b"\x00"
STALE = b"\x01"
YEAR = 365 * 86400.0


def a_frame(nonce: int = 1, body: bytes = b"body") -> bytes:
    """Return bytes with the shape of a frame: its nonce stands at 56 to 80."""
    return b"\xcc\xe1" + bytes(54) + nonce_of(nonce) + body


def nonce_of(number: int) -> bytes:
    """Return the nonce that ``a_frame(number)`` bears."""
    return number.to_bytes(24, "big")
