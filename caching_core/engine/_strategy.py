"""Strategies: the application's say in what is cached and for how long."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from caching_core.errors import ConfigInvalid


class CustomStrategy(ABC):
    """Business rules for writes; register with ``manager.register_strategy(name, strategy)``.

    Named per call (``strategy="name"``), per policy, or for all writes by the setting ``strategy``.
    """

    @abstractmethod
    def should_cache(self, key: str, value: Any, context: Mapping[str, Any]) -> bool:
        """Return whether this value is stored at all."""

    @abstractmethod
    def calculate_ttl(self, key: str, value: Any, context: Mapping[str, Any]) -> float | None:
        """Return the lifetime in seconds (None: for ever) where the caller gave no ``ttl``."""


class Strategies:
    """The registered strategies by name. Thread-safe without a lock: it only adds and reads single names."""

    __slots__ = ("_strategies",)

    def __init__(self) -> None:
        self._strategies: dict[str, CustomStrategy] = {}

    def register(self, name: str, strategy: CustomStrategy) -> None:
        """Add or replace a strategy. Raises ConfigInvalid for anything without the two methods."""
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers need not be typed
            raise ConfigInvalid(f"a strategy's name must be str, got {type(name).__name__}; pass the name first, then the strategy")
        for method in ("should_cache", "calculate_ttl"):
            if not callable(getattr(strategy, method, None)):
                raise ConfigInvalid(f"strategy {name!r} ({type(strategy).__name__}) has no method {method}; derive it from CustomStrategy")
        self._strategies[name] = strategy

    def named(self, name: str) -> CustomStrategy:
        """Return a strategy. Raises ConfigInvalid for a name that was not registered."""
        try:
            return self._strategies[name]
        except KeyError:
            known = ", ".join(sorted(self._strategies)) or "none"
            raise ConfigInvalid(f"strategy {name!r} is not registered (registered: {known}); call register_strategy first") from None
