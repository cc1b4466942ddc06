"""Let a command that is told to stop remove what it made."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ending_cleanly() -> Generator[None]:
    """End the block as an exit would where SIGTERM or SIGHUP comes, so that every ``with`` in it is left."""
    if threading.current_thread() is not threading.main_thread():  # no other may have handlers, and none is told
        yield
        return
    before = {number: signal.signal(number, _end) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
