"""Commands that invalidate much at once: invalidate, clear."""

import sys
from typing import Annotated

import typer

from caching_core.cli._options import ConfigFile, Directory, DryRun, Json, Namespace, Tenant
from caching_core.cli._output import FINDING, FINE, USAGE, Output
from caching_core.cli._session import Session
from caching_core.tenancy import MAX_INVALIDATED, check_tags
from caching_core.types import Invalidated


def invalidate(
    tags: Annotated[list[str], typer.Argument(metavar="TAGS", help="The tags.", show_default=False)],
    *,
    directory: Directory = None,
    namespace: Namespace = None,
    tenant: Tenant = None,
    config: ConfigFile = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> int:
    """Invalidate every entry of the tenant that carries one of TAGS, in all processes."""
    output = Output(as_json=as_json)
    named = check_tags(tags, limit=MAX_INVALIDATED)
    if dry_run:
        if as_json:
            output.data({"tags": list(named), "dry_run": True, "pending": False})
        output.line(f"would invalidate: {', '.join(named)}")
        return FINE
    with Session(directory, namespace, tenant, config).handle() as handle:
        done = handle.invalidate_tags(*named)
    if as_json:
        output.data({"tags": list(named), "dry_run": False, "pending": done.pending})
    output.line(f"invalidated: {', '.join(named)}{pending(done)}")
    return FINDING if done.pending else FINE


def clear(
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    directory: Directory = None,
    namespace: Namespace = None,
    tenant: Tenant = None,
    config: ConfigFile = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> int:
    """Invalidate every entry of the tenant and namespace, in all processes."""
    output = Output(as_json=as_json)
    session = Session(directory, namespace, tenant, config)
    whose = dict(zip(("tenant", "namespace"), session.where(session.config()), strict=True))
    what = f"tenant {whose['tenant']}, namespace {whose['namespace']}"
    if dry_run:
        if as_json:
            output.data({**whose, "cleared": False, "dry_run": True})
        output.line(f"would clear {what}")
        return FINE
    if not yes:
        if not sys.stdin.isatty():
            output.note("caching: clear asks before it clears; without a terminal pass --yes")
            return USAGE
        typer.confirm(f"Clear {what}?", abort=True, err=True)
    with session.handle() as handle:
        done = handle.clear()
    if as_json:
        output.data({**whose, "cleared": True, "dry_run": False, "pending": done.pending})
    output.line(f"cleared {what}{pending(done)}")
    return FINDING if done.pending else FINE


def pending(done: Invalidated) -> str:
    """Return what is to be said beside an invalidation that has not reached the store."""
    return " (pending: the shared store has not heard it)" if done.pending else ""
