"""Requests: a caller's options, the policies and the strategies become one Writing or Loading."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

from caching_core.config import EntryPolicy
from caching_core.engine._lifetime import Lifetime, lifetime
from caching_core.engine._load import Loading
from caching_core.engine._read import HIGH
from caching_core.engine._scope import EngineState, Scope
from caching_core.engine._write import Writing
from caching_core.errors import ConfigInvalid
from caching_core.tenancy import check_tags
from caching_core.types import UNSET, Unset

_MOST_USUAL: Final = 256
_PLAIN_TTL: Final = frozenset({int, float, type(None), Unset})
_LISTS: Final = frozenset({list, tuple})
_NAMES: Final = ("data_type", "security_level", "serializer", "strategy")
_LEVELS: Final[dict[str | None, int]] = {None: 0, "normal": 0, "high": HIGH}


class WriteOptions(TypedDict, total=False):
    """The keyword options of a write or load.

    ``ttl`` seconds (None: for ever; 0: already expired; left out: policy, then ``default_ttl`` or, with
    ``ml_predictions``, what the model for lifetimes says); ``stale_ttl`` seconds after
    that in which a stale value may be served while one caller refreshes it; ``tags`` at most 32; ``data_type`` what the value
    is, for strategies and models; ``security_level`` "normal" or "high"; ``serializer`` and ``strategy`` registered names;
    ``context`` what the strategy is given.
    """

    ttl: float | Unset | None
    stale_ttl: float | None
    tags: Iterable[str]
    data_type: str | None
    security_level: str | None
    serializer: str | None
    strategy: str | None
    context: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """The options of one write or load, as the caller gave them."""

    ttl: float | Unset | None = UNSET
    stale_ttl: float | None = None
    tags: Iterable[str] = ()
    data_type: str | None = None
    security_level: str | None = None
    serializer: str | None = None
    strategy: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        """Check what needs no key; the tags once, since they may come from an iterator, and serve several keys."""
        object.__setattr__(self, "tags", check_tags(self.tags))
        for option in _NAMES:
            name: object = getattr(self, option)
            if not (name is None or isinstance(name, str)):
                raise ConfigInvalid(f'{option} must be a name, got {type(name).__name__}; pass {option}="…", or leave it out')
        if not isinstance(self.context, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers need not be typed
            raise ConfigInvalid(f"context must be a mapping, got {type(self.context).__name__}; pass context={{…}}, or leave it out")

    def life(self, state: EngineState, scope: Scope, key: str) -> Lifetime:
        """Return the lifetime that these options and the policies give a key, whatever its value. Raises TTLInvalid."""
        return self._life_without_strategy(state, state.policies.of(scope.namespace, key))

    def writing(self, state: EngineState, scope: Scope, key: str, value: Any) -> Writing:
        """Return how ``value`` is to be kept; a value that a strategy turns down gets a lifetime that is over.

        Raises TTLInvalid, KeyInvalid for a bad tag, ConfigInvalid for an unknown strategy or security level.
        """
        policy = state.policies.of(scope.namespace, key)
        life = self._life(state, key, value, policy)
        flags = self._flags(state, policy)
        return Writing(
            life or Lifetime(None, 0),
            tuple(self.tags),
            flags,
            self._serializer(policy),
            is_adaptive=life is not None and not flags & HIGH and self._is_open(state, policy),
            data_type=self._data_type(policy),
        )

    def check(self, state: EngineState) -> None:
        """Raise what ``loading`` would raise for these options, whatever the key and its policies."""
        self._life_without_strategy(state, None)
        self._flags(state, None)
        state.codec.require(self.serializer)
        if self.strategy is not None:
            state.strategies.named(self.strategy)

    def loading(self, state: EngineState, scope: Scope, key: str, loader: Callable[[], Any]) -> Loading:
        """Return how a value is to be loaded and kept. Raises as ``writing`` does, before anything is loaded."""
        if not callable(loader):
            raise ConfigInvalid(f"a loader must be a function that returns the value, got {type(loader).__name__}; pass lambda: …")
        policy = state.policies.of(scope.namespace, key)
        self._life_without_strategy(state, policy)
        serializer, strategy = self._serializer(policy), self._strategy(state, policy)
        state.codec.require(serializer)
        if strategy is not None:
            state.strategies.named(strategy)
        flags = self._flags(state, policy)
        return Loading(
            loader,
            lambda value: self._life(state, key, value, policy),
            tags=tuple(self.tags),
            flags=flags,
            serializer=serializer,
            is_adaptive=not flags & HIGH and self._is_open(state, policy),
            data_type=self._data_type(policy),
        )

    def _life(self, state: EngineState, key: str, value: Any, policy: EntryPolicy | None) -> Lifetime | None:
        name = self._strategy(state, policy)
        life = self._life_without_strategy(state, policy)
        if name is None:
            return life
        strategy = state.strategies.named(name)
        context = {**self.context, "data_type": self.data_type} if self.data_type is not None else dict(self.context)
        if not strategy.should_cache(key, value, context):
            return None
        if self.ttl is not UNSET:
            return life
        stale = policy.stale_ttl if self.stale_ttl is None and policy is not None else self.stale_ttl
        return lifetime(strategy.calculate_ttl(key, value, context), stale, default=None)

    def _strategy(self, state: EngineState, policy: EntryPolicy | None) -> str | None:
        if self.strategy is not None:
            return self.strategy
        return (policy.strategy if policy is not None else None) or state.options.strategy

    def _life_without_strategy(self, state: EngineState, policy: EntryPolicy | None) -> Lifetime:
        default, stale = state.options.default_ttl, self.stale_ttl
        if policy is not None:
            default = default if isinstance(policy.ttl, Unset) else policy.ttl
            stale = policy.stale_ttl if stale is None else stale
        return lifetime(self.ttl, stale, default=default)

    def _is_open(self, state: EngineState, policy: EntryPolicy | None) -> bool:
        """Return whether neither the caller nor a policy gave a lifetime, and no strategy does."""
        return self.ttl is UNSET and (policy is None or isinstance(policy.ttl, Unset)) and self._strategy(state, policy) is None

    def _data_type(self, policy: EntryPolicy | None) -> str | None:
        return policy.data_type if self.data_type is None and policy is not None else self.data_type

    def _flags(self, state: EngineState, policy: EntryPolicy | None) -> int:
        level = policy.security_level if self.security_level is None and policy is not None else self.security_level
        if level not in _LEVELS:
            raise ConfigInvalid(f"security_level {level!r} is not known; use 'normal' or 'high'")
        if level == "high" and state.options.is_plain:
            raise ConfigInvalid("security_level 'high' seals a value, and security_enabled is false; enable it, or leave the level out")
        return _LEVELS[level]

    def _serializer(self, policy: EntryPolicy | None) -> str | None:
        return policy.serializer if self.serializer is None and policy is not None else self.serializer


def checked(state: EngineState, options: WriteOptions) -> WriteOptions:
    """Return options that a load may be given, their tags listed; raises as ``Request.loading`` does.

    For reads that load on a miss only: bad options must not wait for the miss. Those that passed once cost little.
    """
    if "tags" in options:
        tags = options["tags"]
        options = {**options, "tags": tuple(tags) if type(tags) in _LISTS else check_tags(tags)}
    known = state.known_options
    # The types as well: True is no lifetime, and equals 1. A lifetime alone is what most give.
    if len(options) == 1 and "ttl" in options:
        form: tuple[object, ...] = (type(options["ttl"]), options["ttl"])
    else:
        form = (*options.items(), *map(type, options.values()))
    try:
        if form in known:
            return options
    except TypeError:  # a context, or a value that is refused below
        form = ()
    Request(**options).check(state)
    if len(known) >= _MOST_USUAL:
        known.clear()
    known.add(form)
    return options


def usual_writing(state: EngineState, options: WriteOptions) -> Writing | None:
    """Return how a value is kept that comes with a lifetime at most, where no policy and no strategy has a say; else None."""
    if state.has_rules:
        return None
    if not options:
        return state.default_writing or _known_writing(state, UNSET)
    if len(options) > 1 or "ttl" not in options:
        return None
    ttl = options["ttl"]
    return _known_writing(state, ttl) if type(ttl) in _PLAIN_TTL else None


def _known_writing(state: EngineState, ttl: float | Unset | None) -> Writing:
    """Return the writing of a lifetime, kept for the next time."""
    known: Writing | None = state.usual_writings.get(ttl)
    if known is None:
        known = Writing(lifetime(ttl, None, default=state.options.default_ttl), is_adaptive=ttl is UNSET)
        if ttl is UNSET:
            state.default_writing = known
        elif len(state.usual_writings) < _MOST_USUAL:
            state.usual_writings[ttl] = known
    return known
