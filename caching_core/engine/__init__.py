"""The engine: every verb once, as coroutines over ports, for blocking callers and event loops alike."""

from caching_core.engine._bound import BoundHandle
from caching_core.engine._change import Changer
from caching_core.engine._counts import Counts
from caching_core.engine._engine import MultiLevelCache
from caching_core.engine._explain import Explanation
from caching_core.engine._gate import AuditGate, OpenGate
from caching_core.engine._lifetime import Lifetime, lifetime
from caching_core.engine._listing import KeyPage
from caching_core.engine._load import Loading
from caching_core.engine._read import HIGH, Seen
from caching_core.engine._request import Request, WriteOptions, checked, usual_writing
from caching_core.engine._scope import FOREVER, EngineOptions, EngineState, Scope
from caching_core.engine._strategy import CustomStrategy, Strategies
from caching_core.engine._timing import BOUNDS, Timing, Timings
from caching_core.engine._write import Writing

__all__ = [
    "BOUNDS",
    "FOREVER",
    "HIGH",
    "AuditGate",
    "BoundHandle",
    "Changer",
    "Counts",
    "CustomStrategy",
    "EngineOptions",
    "EngineState",
    "Explanation",
    "KeyPage",
    "Lifetime",
    "Loading",
    "MultiLevelCache",
    "OpenGate",
    "Request",
    "Scope",
    "Seen",
    "Strategies",
    "Timing",
    "Timings",
    "WriteOptions",
    "Writing",
    "checked",
    "lifetime",
    "usual_writing",
]
