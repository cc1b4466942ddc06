"""Who is calling, kept in context variables: the tenant and the actor of this request, task or thread."""

import contextvars
import functools
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, ParamSpec, TypeVar

from caching_core.tenancy._checks import check_tenant

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a kind (user, service, …), an id, and the roles it has."""

    type: str
    id: str
    roles: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # A list would make a frozen actor changeable and unhashable; a text would fall into letters.
        given: object = self.roles
        object.__setattr__(self, "roles", (given,) if isinstance(given, str) else tuple(self.roles))


_TENANT: Final[contextvars.ContextVar[str | None]] = contextvars.ContextVar("caching_core_tenant", default=None)
_ACTOR: Final[contextvars.ContextVar[Actor | None]] = contextvars.ContextVar("caching_core_actor", default=None)


def current_tenant() -> str | None:
    """Return the tenant of this context, or None."""
    return _TENANT.get()


def current_actor() -> Actor | None:
    """Return the actor of this context, or None."""
    return _ACTOR.get()


@contextmanager
def use_tenant(tenant: str | None) -> Generator[str | None]:
    """Make ``tenant`` the tenant of the block (None: no tenant); what was before comes back afterwards.

    Raises TenantUnknown if the id is out of form; whether it exists is the cache's to say.
    """
    token = _TENANT.set(None if tenant is None else check_tenant(tenant))
    try:
        yield tenant
    finally:
        _TENANT.reset(token)


@contextmanager
def use_actor(actor: Actor | None) -> Generator[Actor | None]:
    """Make ``actor`` the actor of the block; the one before comes back afterwards."""
    token = _ACTOR.set(actor)
    try:
        yield actor
    finally:
        _ACTOR.reset(token)


def carry_tenant(function: Callable[P, R]) -> Callable[P, R]:
    """Bind a function to the tenant and actor of this moment, for executors and threads that carry no context.

    Only these two travel. The function may run any number of times, in several threads at once.
    """
    tenant, actor = _TENANT.get(), _ACTOR.get()

    @functools.wraps(function)
    def carried(*args: P.args, **kwargs: P.kwargs) -> R:
        with use_tenant(tenant), use_actor(actor):
            return function(*args, **kwargs)

    return carried
