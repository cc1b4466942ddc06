"""Read recorded cache accesses: one key per line, or a CSV with a header, plain or xz, streaming."""

import io
import lzma
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from caching_core.errors import CacheError

_XZ_MAGIC = b"\xfd7zXZ\x00"
_NUMBER = re.compile(r"[0-9]{1,19}\Z", re.ASCII)
_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,31}\Z", re.ASCII)
_LONGEST_LINE = 4096


class TraceInvalid(CacheError, ValueError):
    """A trace file is missing, of another format, or has a malformed line."""


class Trace:
    """An open trace. Iterate ``requests()`` once; memory does not grow with the file. Close it, or use ``with``."""

    __slots__ = ("_lines", "_name", "_raw", "_size", "columns")

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self.columns: tuple[str, ...] = ("key",)
        try:
            self._raw = path.open("rb")
        except FileNotFoundError:
            raise TraceInvalid(f"trace {path} does not exist; pass the path of a *.keys.xz or *.csv.xz file") from None
        except OSError as cause:
            raise TraceInvalid(f"trace {path} cannot be read: {cause.strerror}") from cause
        self._size = path.stat().st_size
        body: io.BufferedReader | lzma.LZMAFile = self._raw
        if self._raw.peek(6)[:6] == _XZ_MAGIC:
            body = lzma.LZMAFile(self._raw)  # noqa: SIM115  (closed by close())
        elif path.suffix == ".xz":
            self._raw.close()
            raise TraceInvalid(f"trace {self._name} ends in .xz but is no xz file; decompress it or fetch it again")
        self._lines = io.TextIOWrapper(body, encoding="ascii", newline="\n")

    def requests(self, *, limit: int | None = None) -> Iterator[str]:
        """Yield each request's key as text, at most ``limit``; TraceInvalid names the first bad line."""
        if limit is not None and limit <= 0:
            return
        number = 0
        try:
            for number, line in enumerate(self._numbered(), start=1):
                yield line
                if number == limit:
                    return
        except (lzma.LZMAError, EOFError) as cause:
            raise TraceInvalid(f"trace {self._name} is damaged or cut short after request {number}; fetch it again") from cause
        except UnicodeDecodeError as cause:
            raise TraceInvalid(f"trace {self._name} is not text after request {number}; expected decimal keys, one per line") from cause
        if not number:
            raise TraceInvalid(f"trace {self._name} holds no request")

    def _numbered(self) -> Iterator[str]:
        opening = self._lines.readline(_LONGEST_LINE)
        if not opening:
            return
        first = opening.rstrip("\r\n")
        at = 1
        if _NUMBER.match(first):
            yield first
        else:
            self.columns = self._header(first)
        width = len(self.columns)
        while line := self._lines.readline(_LONGEST_LINE):
            at += 1
            text = line.rstrip("\r\n")
            if width == 1:
                if not _NUMBER.match(text):
                    raise self._malformed(at, "a decimal key")
                yield text
            else:
                yield self._row(text, at)

    def _row(self, text: str, at: int) -> str:
        fields = text.split(",")
        if len(fields) != len(self.columns) or not all(map(_NUMBER.match, fields)):
            raise self._malformed(at, f"{len(self.columns)} decimal fields ({','.join(self.columns)})")
        return fields[0]

    def _header(self, first: str) -> tuple[str, ...]:
        columns = tuple(first.split(","))
        if columns[0] != "key" or not all(map(_COLUMN.match, columns)):
            raise TraceInvalid(
                f"trace {self._name} has an unknown format: line 1 is neither a decimal key nor a header that starts with 'key'; "
                "known are *.keys (one key per line) and *.csv (key, t_ms, ...), plain or .xz"
            )
        return columns

    def _malformed(self, line: int, expected: str) -> TraceInvalid:
        return TraceInvalid(f"trace {self._name}, line {line}: expected {expected}; correct or remove the line")

    def fraction_read(self) -> float:
        """Return how much of the file has been consumed, 0 to 1."""
        return min(self._raw.tell() / self._size, 1.0) if self._size else 1.0

    def close(self) -> None:
        """Release the file; harmless twice."""
        self._lines.close()
        self._raw.close()

    def __enter__(self) -> Self:
        """Return the trace itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trail: TracebackType | None) -> None:
        """Close the file."""
        self.close()
