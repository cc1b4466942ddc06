"""Tenant and actor of who sends a task, carried in the headers of its message and in force while it runs."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Final, cast

from celery.utils.log import get_task_logger

from caching_core import Actor, current_tenant, use_actor, use_tenant
from caching_core.errors import TenantUnknown
from caching_core.tenancy import current_actor

TENANT_HEADER: Final = "caching_tenant"
ACTOR_HEADER: Final = "caching_actor"
_ENTERED: Final = "caching_entered"  # on the request of the running task: what is to be left when it ends
_LOG = get_task_logger("caching_tasks")

# Any, in this module: Celery ships no annotations.


def stamp_message(*, headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Write the tenant and the actor of this moment on a message; what the sender wrote there himself stays."""
    if headers is None:
        return
    tenant, actor = current_tenant(), current_actor()
    if tenant is not None:
        headers.setdefault(TENANT_HEADER, tenant)
    if actor is not None:
        headers.setdefault(ACTOR_HEADER, {"type": actor.type, "id": actor.id, "roles": list(actor.roles)})


def enter_task(*, task: Any, **_: Any) -> None:
    """Make the tenant and actor of the message those of the task that begins.

    A message without them means none, whatever ran in this thread before; a task that its caller runs himself keeps his.
    What is out of form counts as none and goes to the log: a cache that knows tenants refuses calls without one.
    """
    request = task.request
    tenant, actor = _header(request, TENANT_HEADER), _header(request, ACTOR_HEADER)
    if request.is_eager and tenant is None and actor is None:
        return
    stack = ExitStack()
    try:
        stack.enter_context(use_tenant(cast("str | None", tenant)))  # checked there, whatever it is
    except TenantUnknown as error:
        _LOG.error("task %s [%s] says a tenant out of form and runs without one: %s", task.name, request.id, error)
        stack.enter_context(use_tenant(None))
    stack.enter_context(use_actor(_actor(actor)))
    setattr(request, _ENTERED, stack)


def end_task(*, task: Any, **_: Any) -> None:
    """Leave the tenant and actor of the task that ends."""
    stack = task.request.__dict__.pop(_ENTERED, None)
    if isinstance(stack, ExitStack):
        stack.close()


def _header(request: Any, name: str) -> object:
    """Return a header of the message: protocol 2 makes it an attribute of the request, protocol 1 keeps it among the headers."""
    found = getattr(request, name, None)
    return found if found is not None else (request.headers or {}).get(name)


def _actor(value: object) -> Actor | None:
    if not isinstance(value, Mapping):
        return None
    given = cast("Mapping[str, object]", value)
    kind, identity, roles = given.get("type"), given.get("id"), given.get("roles", ())
    if not isinstance(kind, str) or not isinstance(identity, str) or not isinstance(roles, list | tuple):
        return None
    return Actor(kind, identity, tuple(str(role) for role in cast("tuple[object, ...]", tuple(roles))))
