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
    with Session(directory, namespace, tenant, config).handle(only_reads=dry_run) as handle:
        done = Invalidated(0) if dry_run else handle.invalidate_tags(*named)
    if dry_run:
        if as_json:
            output.data({"tags": list(named), "dry_run": True, "pending": False})
        output.line(f"would invalidate: {', '.join(named)}")
        return FINE
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
    if not (yes or dry_run or sys.stdin.isatty()):
        output.note("caching: clear asks before it clears; without a terminal pass --yes")
        return USAGE
    with Session(directory, namespace, tenant, config).handle(only_reads=dry_run) as handle:
        whose = {"tenant": handle.tenant, "namespace": handle.namespace}
        what = f"tenant {handle.tenant}, namespace {handle.namespace}"
        if not (yes or dry_run):
            typer.confirm(f"Clear {what}?", abort=True, err=True)
        done = Invalidated(0) if dry_run else handle.clear()
    if dry_run:
        if as_json:
            output.data({**whose, "cleared": False, "dry_run": True})
        output.line(f"would clear {what}")
        return FINE
    if as_json:
        output.data({**whose, "cleared": True, "dry_run": False, "pending": done.pending})
    output.line(f"cleared {what}{pending(done)}")
    return FINDING if done.pending else FINE


def pending(done: Invalidated) -> str:
    """Return what is to be said beside an invalidation that has not reached the store."""
    return " (pending: the shared store has not heard it)" if done.pending else ""
