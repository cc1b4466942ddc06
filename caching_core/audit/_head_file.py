"""The head of the log, signed, in a second small file: a log that lost its tail no longer fits it."""

import base64
import enum
import fcntl
import os
from pathlib import Path
from typing import Final

from caching_core.audit._signature import Signer, Statement, Verifier
from caching_core.runtime import put_in_place

HEAD_FILE: Final = "audit.head"
_BYTES: Final = 512  # one sector: written in place, it is never torn


class HeadProblem(enum.Enum):
    """Why the head file says nothing."""

    MISSING = "missing"
    INVALID = "invalid"


def read_head(directory: Path, verifier: Verifier) -> Statement | HeadProblem:
    """Return the head file's statement, if it is there and signed by the log's key."""
    try:
        descriptor = os.open(directory / HEAD_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return HeadProblem.MISSING
    try:
        found = _parse(os.pread(descriptor, _BYTES, 0), verifier)
        if found is None:  # perhaps read while it was being written
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            try:
                found = _parse(os.pread(descriptor, _BYTES, 0), verifier)
            finally:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)
    return found or HeadProblem.INVALID


def make_head(directory: Path, statement: Statement, signer: Signer) -> None:
    """Put a new head file in place of whatever stands there."""
    with put_in_place(directory / HEAD_FILE) as (_draft, descriptor):
        text = statement.text()
        os.write(descriptor, _padded(text, signer.sign(text)))


def advance_head(directory: Path, statement: Statement, signature: bytes, verifier: Verifier) -> None:
    """Move the head file to ``statement`` unless another process has moved it further already.

    It is not synced: after a power cut it may lag behind the log, which proves less but contradicts
    nothing; it is never ahead of what is on disk. One that is missing or not ours stays so, as evidence.
    """
    try:
        descriptor = os.open(directory / HEAD_FILE, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        standing = _parse(os.pread(descriptor, _BYTES, 0), verifier)
        if standing is not None and standing.log == statement.log and standing.seq < statement.seq:
            os.pwrite(descriptor, _padded(statement.text(), signature), 0)
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _padded(text: bytes, signature: bytes) -> bytes:
    """Give every head one length, so that writing in place leaves no rest of the one before."""
    return (base64.b64encode(signature) + b"\n" + text).ljust(_BYTES - 1) + b"\n"


def _parse(text: bytes, verifier: Verifier) -> Statement | None:
    encoded, _, rest = text.partition(b"\n")
    body = rest.strip()
    try:
        signature = base64.b64decode(encoded, validate=True)
        is_ours = verifier.accepts(body, signature) and text == _padded(body, signature)  # to the last bit
        return Statement.parse(body) if is_ours else None
    except ValueError:
        return None
