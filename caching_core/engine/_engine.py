"""The engine of one world: the verbs over one state, one store and one runtime."""

from caching_core.engine._change import Changer
from caching_core.engine._explain import Explainer
from caching_core.engine._invalidate import Invalidator
from caching_core.engine._listing import Lister
from caching_core.engine._load import Loader
from caching_core.engine._read import Reader
from caching_core.engine._scope import EngineState
from caching_core.engine._write import Writer
from caching_core.runtime import Runtime
from caching_core.tiers import Store


class MultiLevelCache:
    """Coordinates the levels: memory first, then the authoritative store; one object per world (blocking, event loop).

    ``store`` is None where memory is the only level. The verbs stand in ``read``, ``load``, ``write``, ``change``,
    ``invalidate``, ``listing`` and ``explain``; each takes a scope and awaits ports only.
    """

    __slots__ = ("change", "explain", "invalidate", "listing", "load", "read", "runtime", "state", "store", "successor", "write")

    def __init__(self, state: EngineState, store: Store | None, runtime: Runtime) -> None:
        self.state = state
        self.store = store
        self.successor: MultiLevelCache | None = None  # what handles go on with, once this one is of no use any more
        self.runtime = runtime
        self.read = Reader(state, store)
        self.load = Loader(state, store, runtime, self.read)
        self.write = Writer(state, store, self.read)
        self.change = Changer(state, store, runtime, self.read, self.write)
        self.invalidate = Invalidator(state, store, self.write)
        self.listing = Lister(state, store, self.read)
        self.explain = Explainer(state, store, self.read)
