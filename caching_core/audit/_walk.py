"""Walks the chain from its first record to its last and stops at the first that does not fit."""

import sqlite3
from collections.abc import Mapping
from typing import Any, Final

import orjson

from caching_core.audit._chain import CLOCK_BACK
from caching_core.audit._finding import Fault, Finding
from caching_core.audit._log_file import RESET, genesis, hash_of

_ROWS: Final = 1000


class Walk:
    """One pass over the records of a snapshot. ``marks`` are signed hashes by sequence; ``end`` is the hash of the signed head."""

    __slots__ = ("_connection", "_end", "_log", "_marks", "_prev", "clock_backs", "count", "reset", "seq", "ts")

    def __init__(self, connection: sqlite3.Connection, *, log: str, marks: Mapping[int, str], end: str) -> None:
        """Begin before the first record."""
        self._connection = connection
        self._log = log
        self._marks = marks
        self._end = end
        self._prev = genesis(log)
        self.seq = 0
        self.count = 0
        self.ts = 0
        self.clock_backs = 0
        self.reset: Mapping[str, Any] | None = None  # JSON of the record by which this log began after another was lost

    def run(self) -> Finding | None:
        """Go to the end; return the first fault."""
        cursor = self._connection.execute("SELECT seq, body FROM records ORDER BY seq")
        while rows := cursor.fetchmany(_ROWS):
            for seq, text in rows:
                finding = self._step(seq, text)
                if finding is not None:
                    return finding
        return None

    def _step(self, seq: int, text: bytes) -> Finding | None:
        if seq != self.seq + 1:
            return Finding(self.seq + 1, Fault.MISSING, f"record {self.seq + 1} is not there; the next one is {seq}")
        try:
            body = orjson.loads(text)
            prev, ts = body["prev"], body["ts"]
            if body["seq"] != seq or body["log"] != self._log:
                return self._misplaced(seq, body)
            if prev != self._prev:
                return self._broken(seq, text)
            if ts < self.ts and not self._may_turn_back(body):
                return self._earlier(seq, text)
        except (ValueError, KeyError, TypeError):
            return Finding(seq, Fault.EDITED, f"record {seq} is not a record any more")
        self._prev = hash_of(text)
        if seq in self._marks and self._marks[seq] != self._prev:
            return Finding(seq, Fault.FORKED, f"record {seq} is not the one that was signed: it or some before it were rewritten")
        if seq == 1 and body["action"] == RESET:
            self.reset = body["detail"]
        self.seq = seq
        self.ts = ts
        self.count += 1
        return None

    def _misplaced(self, seq: int, body: Mapping[str, Any]) -> Finding:
        if body["log"] != self._log:
            return Finding(seq, Fault.FORKED, f"record {seq} belongs to another log")
        return Finding(seq, Fault.REORDERED, f"record {body['seq']} stands in the place of record {seq}")

    def _broken(self, seq: int, text: bytes) -> Finding:
        """Tell which of two neighbours was changed: this one is intact if the next still names its hash."""
        if seq > 1 and self._is_intact(seq, text):
            return Finding(seq - 1, Fault.EDITED, f"record {seq - 1} has been changed: record {seq} names another hash")
        return Finding(seq, Fault.EDITED, f"record {seq} has been changed: it does not name the hash of its predecessor")

    def _earlier(self, seq: int, text: bytes) -> Finding:
        if self._is_intact(seq, text):
            return Finding(seq, Fault.CLOCK_BACK, f"record {seq} is earlier than its predecessor without saying so")
        return Finding(seq, Fault.EDITED, f"record {seq} has been changed: its time is before its predecessor's")

    def _is_intact(self, seq: int, text: bytes) -> bool:
        after = self._connection.execute("SELECT body FROM records WHERE seq > ? ORDER BY seq LIMIT 1", (seq,)).fetchone()
        if after is None:
            return hash_of(text) == self._end
        try:
            return bool(orjson.loads(after[0])["prev"] == hash_of(text))
        except (ValueError, KeyError, TypeError):
            return False

    def _may_turn_back(self, body: Mapping[str, Any]) -> bool:
        if body["class"] == "SYSTEM" and body["action"] == CLOCK_BACK:
            self.clock_backs += 1
            return True
        return False
