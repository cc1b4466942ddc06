"""XAES-256-GCM against the vectors of its specification."""

import sys

import pytest
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

from caching_core.crypto import Xaes256Gcm, open_with_nonce, seal_with_nonce


@pytest.mark.parametrize(
    ("key", "aad", "ciphertext"),
    [
        (b"\x01" * 32, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
        (b"\x03" * 32, b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
    ],
)
def test_the_two_vectors_of_the_specification(key, aad, ciphertext):
    nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX"
    xaes = Xaes256Gcm(key)
    assert xaes.seal(nonce, b"XAES-256-GCM", aad).hex() == ciphertext
    assert xaes.open(nonce, bytes.fromhex(ciphertext), aad) == b"XAES-256-GCM"


def accumulated(iterations: int) -> str:
    """Seal and open ``iterations`` messages drawn from SHAKE128 and hash what was sealed."""
    source = hashes.XOFHash(hashes.SHAKE128(digest_size=sys.maxsize))
    sink = hashes.XOFHash(hashes.SHAKE128(digest_size=sys.maxsize))
    for _ in range(iterations):
        key, nonce = source.squeeze(32), source.squeeze(24)
        plaintext = source.squeeze(size) if (size := source.squeeze(1)[0]) else b""
        aad = source.squeeze(size) if (size := source.squeeze(1)[0]) else b""
        xaes = Xaes256Gcm(key)
        sealed = xaes.seal(nonce, plaintext, aad)
        assert xaes.open(nonce, sealed, aad) == plaintext
        sink.update(sealed)
    return sink.squeeze(32).hex()


def test_the_accumulated_vector_of_ten_thousand():
    assert accumulated(10_000) == "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"


@pytest.mark.slow
def test_the_accumulated_vector_of_a_million():
    assert accumulated(1_000_000) == "2163ae1445985a30b60585ee67daa55674df06901b890593e824b8a7c885ab15"


def test_another_nonce_aad_or_a_cut_message_does_not_open():
    xaes = Xaes256Gcm(bytes(range(32)))
    sealed = xaes.seal(bytes(24), b"text", b"aad")
    assert xaes.open(bytes(24), sealed, b"aad") == b"text"
    assert xaes.open(bytes(23) + b"\x01", sealed, b"aad") is None
    assert xaes.open(b"\x01" + bytes(23), sealed, b"aad") is None
    assert xaes.open(bytes(24), sealed, b"aae") is None
    assert xaes.open(bytes(12), sealed, b"aad") is None
    for cut in range(len(sealed)):
        assert xaes.open(bytes(24), sealed[:cut], b"aad") is None


@given(key=st.binary(min_size=32, max_size=32), text=st.binary(max_size=200), aad=st.binary(max_size=50))
def test_what_was_sealed_with_its_nonce_opens_again(key, text, aad):
    sealed = seal_with_nonce(key, text, aad)
    assert open_with_nonce(key, sealed, aad) == text
    assert open_with_nonce(key, sealed, aad + b"x") is None


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_of_another_size_is_refused(size):
    with pytest.raises(ValueError, match="32 bytes"):
        Xaes256Gcm(bytes(size))


def test_a_nonce_of_another_size_is_refused_when_sealing():
    with pytest.raises(ValueError, match="24 bytes"):
        Xaes256Gcm(bytes(32)).seal(bytes(12), b"", b"")
    with pytest.raises(ValueError, match="12 bytes"):
        Xaes256Gcm(bytes(32)).derive(bytes(24))
