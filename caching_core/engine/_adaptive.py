"""Lifetimes that nobody gave: the model is told of each load of such a value, and may answer with a lifetime."""

from caching_core.codec import Packed
from caching_core.engine._lifetime import Lifetime, lifetime
from caching_core.engine._scope import FOREVER, EngineState, Scope
from caching_core.tiers.memory import Entry


def adapted(
    state: EngineState, scope: Scope, key: str, entry: Entry, life: Lifetime, *, packed: Packed, data_type: str | None, now: float
) -> Lifetime:
    """Tell the model of a load, and return the lifetime of the value: ``life``, unless the model acts and says otherwise.

    ``entry`` is captured and has its version; ``now`` steady seconds at the start of the load.
    """
    model = state.ttl_model
    if model is None:
        return life
    standing = scope.entries.get(key)
    # A copy that is renewed before its value ends counts the hits of its own time only.
    counts_all = state.options.copy_seconds == FOREVER
    seconds = model.after_load(
        scope.tenant,
        scope.namespace,
        key,
        data_type=data_type,
        now=now,
        digest=hash(packed.raw),  # SipHash under a key of this process: 8 bytes, and nobody outside can tell what they are
        stamp=(entry.guard, entry.mark),
        version=entry.version,
        held=None if standing is None else (standing.version, standing.n if counts_all else None),
        given=seconds_of(life),
    )
    return _instead(life, seconds)


def refilled(
    state: EngineState, scope: Scope, key: str, *, life: Lifetime, raw: bytes, tags: tuple[str, ...] = (), data_type: str | None = None
) -> Lifetime | None:
    """As ``adapted``, for a value that is being set: a load, if ``get`` missed the key just now. Then call ``restamped``.

    Else the caller has changed the value, which is no silent change; the model is told if it acts, for the lifetime that it
    then says. None: it was not told.
    """
    model, missed, stamp = state.ttl_model, scope.missed, None
    if model is None:
        return None
    if missed is not None and missed[0] == key:
        scope.missed = None
        state.bind_tags(scope, missed[1], tags)
        stamp = (missed[1].guard, missed[1].mark)
    elif not model.acts:
        return None
    seconds = model.after_load(
        scope.tenant,
        scope.namespace,
        key,
        data_type=data_type,
        now=state.now(),
        digest=hash(raw),
        stamp=stamp,
        version=0,
        held=None,
        given=seconds_of(life),
    )
    return _instead(life, seconds)


def restamped(state: EngineState, scope: Scope, key: str, tags: tuple[str, ...] = ()) -> None:
    """Tell the model that the invalidation by which a set tells others of itself is no news of the value."""
    if state.ttl_model is not None:
        entry = state.stamps.capture(scope.cells, key)
        state.bind_tags(scope, entry, tags)
        state.ttl_model.stamped(scope.tenant, scope.namespace, key, (entry.guard, entry.mark))


def _instead(life: Lifetime, seconds: float | None) -> Lifetime:
    if seconds is None:
        return life
    stale_ms = 0 if life.soft_ms is None or life.hard_ms is None else life.hard_ms - life.soft_ms
    return lifetime(seconds, stale_ms / 1000, default=None)


def seconds_of(life: Lifetime) -> float | None:
    """Return for how long a value is fresh; None: for ever."""
    fresh_ms = life.hard_ms if life.soft_ms is None else life.soft_ms
    return None if fresh_ms is None else fresh_ms / 1000
