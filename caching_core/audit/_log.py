"""The audit log of a host, as the rest of the process sees it."""

import atexit
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self

from caching_core.audit._chain import Chain
from caching_core.audit._privacy import AuditKey, Privacy, spill_key
from caching_core.audit._record import AuditClass, Detail, Entry, Outcome
from caching_core.audit._spill import Spill
from caching_core.audit._writer import Writer

_QUEUE: Final = 65536
_CLOSE_SECONDS: Final = 5.0
_ADMIN: Final = AuditClass.ADMIN  # an enum's member is found anew on each mention, slowly; every other class is counted in a flood


class AuditLog:
    """Writes records into the chain of ``directory``, which all processes of the host share.

    ``record`` puts a tuple into a queue; a thread writes it within about 50 ms. A process that is killed loses what
    waits there, and counts of a flood of the running minute: call ``flush`` where that matters. Thread-safe, safe to
    fork. Nothing is opened before the first record; it is closed at exit by itself.
    """

    __slots__ = ("__weakref__", "_chain", "_clock", "_directory", "_key", "_limit", "_writer")

    def __init__(self, directory: str | Path, *, key: AuditKey, clock: Callable[[], float] = time.time, queue_size: int = _QUEUE) -> None:
        """``key`` (32 bytes, or a function from tenant to 32 bytes) hashes names and seals ``pii``. ``clock`` gives Unix time."""
        self._directory = Path(directory)
        self._key = key
        self._clock = clock
        self._limit = queue_size
        privacy = Privacy(key)
        self._chain = Chain(self._directory, privacy=privacy, clock=clock)
        spill = Spill(self._directory, lambda: spill_key(key))
        self._writer = Writer(self._chain, spill, privacy, clock=clock, limit=queue_size)
        _close_at_exit(self)

    def record(
        self,
        cls: AuditClass,
        action: str,
        outcome: Outcome = Outcome.OK,
        *,
        tenant: str = "",
        actor_type: str = "system",
        actor: str = "",
        ip: str = "",
        request: str = "",
        namespace: str = "",
        key: str = "",
        count: int = 1,
        detail: Detail | None = None,
        private: Mapping[str, str] | None = None,
    ) -> None:
        """Record that something happened. ``actor``, ``ip``, ``key`` and ``private`` are readable only in the sealed part.

        ``detail`` stands in the open: integers, short texts, lists of them. Both mappings must not be changed afterwards.
        ADMIN raises AuditUnavailable where the record can be kept nowhere: do not go on with the operation then. The
        other classes never raise; a flood of them is counted.
        """
        now = self._clock()
        writer = self._writer
        entry: Entry = (cls, action, outcome, tenant, actor_type, actor, ip, request, namespace, key, count, detail, private, now)
        queue = writer.queue
        if len(queue) >= self._limit:
            if cls is _ADMIN:
                if writer.make_room(entry):
                    return
            else:
                writer.throttle.count(cls, action, tenant, outcome=outcome, now=now)
                return
        elif cls is not _ADMIN and not writer.throttle.admits(cls, action, tenant, outcome=outcome, now=now):
            return
        queue.append(entry)
        if writer.asleep:
            writer.rouse()

    def flush(self, timeout: float = _CLOSE_SECONDS) -> bool:
        """Wait until everything recorded before is on disk; False where ``timeout`` seconds did not do."""
        return self._writer.flush(timeout)

    def close(self, timeout: float = _CLOSE_SECONDS) -> None:
        """Write what waits, counts of floods included, and end the thread; a later record starts it again."""
        self._writer.close(timeout)

    @property
    def trouble(self) -> str:
        """Return why the log cannot be written at the moment; empty while it can."""
        return self._writer.trouble

    @property
    def waiting(self) -> int:
        """Return how many records wait in the queue."""
        return len(self._writer.queue)

    def public_key(self) -> str:
        """Return the key that verifies this log's checkpoints, in hexadecimal; keep a copy off this host."""
        return self._chain.public_key()

    def __enter__(self) -> Self:
        """Use as a context."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close."""
        self.close()

    def __repr__(self) -> str:
        """Name the directory."""
        return f"AuditLog({str(self._directory)!r})"


def _close_at_exit(log: AuditLog) -> None:
    seen = weakref.ref(log)

    def close() -> None:
        live = seen()
        if live is not None:
            live.close()

    atexit.register(close)
