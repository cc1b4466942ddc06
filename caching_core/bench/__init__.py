"""Workloads, recorded traces, interleaved measuring and the tables that come of it."""

from caching_core.bench._handle import BlockingHandle
from caching_core.bench._histogram import LatencyHistogram
from caching_core.bench._machine import describe_machine, installed_version
from caching_core.bench._memory import MemoryTrend, MemoryWatch, private_bytes
from caching_core.bench._replay import Replay, Replayed, Residency
from caching_core.bench._report import HEADINGS, Report, Row, Verdict
from caching_core.bench._rounds import Series, Subject, measure, reading, writing
from caching_core.bench._trace import Trace, TraceInvalid
from caching_core.bench._values import (
    document_value,
    flat_value,
    nested_value,
    opaque_values,
    page_value,
    record_value,
    text_value,
    uniform_keys,
    zipf_keys,
)

__all__ = [
    "HEADINGS",
    "BlockingHandle",
    "LatencyHistogram",
    "MemoryTrend",
    "MemoryWatch",
    "Replay",
    "Replayed",
    "Report",
    "Residency",
    "Row",
    "Series",
    "Subject",
    "Trace",
    "TraceInvalid",
    "Verdict",
    "describe_machine",
    "document_value",
    "flat_value",
    "installed_version",
    "measure",
    "nested_value",
    "opaque_values",
    "page_value",
    "private_bytes",
    "reading",
    "record_value",
    "text_value",
    "uniform_keys",
    "writing",
    "zipf_keys",
]
